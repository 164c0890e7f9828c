"""timm's networks beside ours with the same weights, and what the comparisons of this folder share."""

import functools

import pytest

torch = pytest.importorskip("torch", reason="torch (extra: train) is not installed")

from weights import random_weights  # noqa: E402

from lcnet.arch import Arch  # noqa: E402
from lcnet.nn import create_model  # noqa: E402

TIMM_WIDTHS = ("lcnet_035", "lcnet_050", "lcnet_075", "lcnet_100", "lcnet_150")
TOLERANCE = 1e-5  # of the range; the promise is 1e-4


@functools.cache
def tensors(width=0.5, in_chans=3, num_classes=1000):
    """Weights whose logits react to the image, as torch tensors; callers must not change them."""
    arch = Arch(width, in_chans, num_classes)
    return {key: torch.from_numpy(value) for key, value in random_weights(arch).items()}


@functools.cache
def images(count=5, height=64, width=64, channels=3):
    """Noise of three grain sizes, one kind of texture an image; float32 NCHW, about unit variance."""
    generator = torch.Generator().manual_seed(1)
    made = []
    for i in range(count):
        coarse = torch.randn(1, channels, 2 + 3 * i, 3 + 2 * i, generator=generator)
        made.append(torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0] * (0.5 + 0.4 * i))
    return torch.stack(made) + 0.1 * torch.randn(count, channels, height, width, generator=generator)


def pair(timm, name="lcnet_050", **options):
    """(ours, timm's), in eval mode, with the same weights: random ones where the shapes are the usual ones."""
    theirs = timm.create_model(name, **options).eval()
    ours = create_model(name, **options).eval()
    width = ours.arch.width
    state = theirs.state_dict()
    usual = tensors(width, ours.in_chans, state["classifier.weight"].shape[0] if "classifier.weight" in state else 0)
    state |= {k: v for k, v in usual.items() if k in state and v.shape == state[k].shape}
    theirs.load_state_dict(state)
    ours.load_state_dict(state)
    return ours, theirs


def assert_close(ours, theirs, tolerance=TOLERANCE):
    """Equal shape, and equal values within a fraction of the range of a tensor that is not constant."""
    assert ours.shape == theirs.shape
    spread = (theirs.max() - theirs.min()).item()
    assert spread > 0
    assert (ours - theirs).abs().max().item() <= tolerance * spread


def assert_reacts(logits):
    """Different images give different logits: the spread over images is a good part of the spread over classes."""
    assert logits.std(0).mean() > 0.1 * logits.std(1).mean()
