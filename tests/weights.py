"""Weights for tests whose logits react to the image: seeded, with batch-norm statistics as a trained network has them."""

import functools

import numpy as np

from lcnet.arch import Arch


def random_weights(arch: Arch, seed: int = 0) -> dict[str, np.ndarray]:
    """He-scaled convs and batch norms spread around 1, so that signals neither die nor explode through 27 layers."""
    return random_values(arch.shapes(), seed)


def random_values(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, np.ndarray]:
    """The same for any tensors by timm's names."""
    rng = np.random.default_rng(seed)

    def tensor(key: str, shape: tuple[int, ...]) -> np.ndarray:
        if key.endswith("running_var"):
            return rng.uniform(0.5, 1.5, shape)
        if key.endswith("running_mean") or key.endswith("bias"):
            return rng.normal(0, 0.2, shape)
        if len(shape) == 1:
            return rng.uniform(0.7, 1.6, shape)
        fan_in = int(np.prod(shape[1:]))
        return rng.normal(0, (2.5 / fan_in) ** 0.5, shape)

    return {key: tensor(key, shape).astype(np.float32) for key, shape in shapes.items()}


def write_angles(path) -> None:
    """A model file whose classes are the four angles of pages, and which knows nothing of them."""
    from lcnet import modelfile
    from lcnet.config import Labels, ModelConfig, Preprocessing
    from lcnet.modelfile import ModelFile

    config = ModelConfig(Arch(0.25, num_classes=4), Preprocessing((3, 32, 32)), Labels(("0", "90", "180", "270")))
    modelfile.write(path, ModelFile(config, random_weights(config.arch)))


def pictures(n: int, height: int, width: int, channels: int = 3, seed: int = 1) -> np.ndarray:
    """Ready input, float32 [N,C,H,W]: smooth blobs with noise, so that pictures differ from each other at every scale."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(n, channels, -(-height // 8), -(-width // 8)))
    smooth = coarse.repeat(8, axis=2).repeat(8, axis=3)[:, :, :height, :width]
    return (smooth + 0.5 * rng.normal(size=smooth.shape)).astype(np.float32)


@functools.lru_cache(maxsize=16)
def reacting_weights(arch: Arch, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights whose batch-norm statistics are those of pictures: the logits depend on the image. Needs torch.

    With random statistics they hardly do, and a comparison of two engines proves little.
    """
    import torch

    from lcnet.nn import LCNet
    from lcnet.nn.layers import Style

    model = LCNet(arch, Style.of(arch))
    state = {k: torch.from_numpy(v) for k, v in random_weights(arch, seed).items()}
    model.load_state_dict(state, strict=False)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # one batch decides
    with torch.no_grad():
        model.train()(torch.from_numpy(pictures(16, 96, 96, arch.in_chans)))
    return {k: v.numpy().copy() for k, v in model.state_dict().items() if k in state}
