"""Every error that lcnet raises on purpose. A message names the thing, what was expected, what was found, what to do.

LcnetError
├── InputError (ValueError)          an argument, an option, an array, a place to write to
│   └── OptionError (lcnet.nn)         of create_model
├── ImageError                       a picture
│   └── TooLargeError                  of more pixels than are allowed
├── ModelFileError                   a model file or a checkpoint
├── WeightsError                     weights that cannot be had
├── TrainingError                    training that cannot go on
├── GalleryError                     a gallery that cannot be read or written, or is of another model
├── MissingExtraError (ImportError)  a package that is not installed
└── RefusedError                     what was made, and is not good enough to be kept
    ├── ExportError (lcnet.export)     an export that computes something else
    └── GateError (lcnet.quantize)     an int8 model that is less accurate than allowed, or no faster
"""


class LcnetError(Exception):
    """The root of the tree: catch this to catch everything that lcnet raises on purpose."""


class InputError(LcnetError, ValueError):
    """An argument or an array that cannot be used: wrong shape, dtype, name, option or range."""


class ImageError(LcnetError):
    """A picture that cannot be read: missing, truncated, not an image, too large. Names the file and the reason."""


class TooLargeError(ImageError):
    """A picture of more pixels, or with a longer side, than is read: by its header, and before it is decoded."""


class ModelFileError(LcnetError):
    """A model file or checkpoint that cannot be read, is damaged, or does not describe the network it claims to."""


class WeightsError(LcnetError):
    """Weights that cannot be had: unknown name, not in the cache and not reachable, or not the file that was promised."""


class TrainingError(LcnetError):
    """Training that cannot go on: the loss is no number any more, or a process that decodes has died. Says what to try."""


class GalleryError(LcnetError):
    """A gallery that cannot be read or written, is damaged, in use, of a newer version, or of another model."""


class RefusedError(LcnetError):
    """A result that was made, measured and found not good enough: nothing is written."""


class MissingExtraError(LcnetError, ImportError):
    """An optional dependency that is not installed. Names the extra to install."""
