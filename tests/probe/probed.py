"""Pictures that a small network tells apart, and the network."""

from dataclasses import replace

import numpy as np
from PIL import Image

from lcnet import hub, modelfile
from lcnet.modelfile import ModelFile

CLASSES = ("dots", "lines", "waves")


def pattern(kind, seed, side=32):
    """A picture of one of the classes, another for each seed: where its pattern lies, how strong it is and in which colour."""
    rng = np.random.default_rng([seed, CLASSES.index(kind)])
    y, x = np.mgrid[:side, :side] + rng.uniform(0, 8, 2)[:, None, None]
    value = {"dots": np.sin(x) * np.sin(y), "lines": np.sign(np.sin(x / 1.5)), "waves": np.sin((x + y) / 3)}[kind]
    pixels = 128 + rng.uniform(15, 60) * value[..., None] * rng.uniform(0.3, 1, 3) + rng.normal(0, 40, (side, side, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def write(folder, count=8, classes=CLASSES, part="", first=0):
    """So many pictures of each class in folders."""
    for kind in classes:
        for i in range(first, first + count):
            target = folder / part / kind / f"{i}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            pattern(kind, i).save(target)
    return folder


def base(path, side=32):
    """The bundled network, for pictures of few pixels."""
    read = modelfile.read(hub.locate("lcnet_050.cifar10").path)
    preprocessing = replace(read.config.preprocessing, input_size=(3, side, side))
    modelfile.write(path, ModelFile(replace(read.config, preprocessing=preprocessing), read.weights))
    return path
