"""Small folders of pictures that a network can learn in seconds: each class has a colour, each picture noise."""

import numpy as np
from PIL import Image

COLOURS = {"blue": (40, 60, 200), "green": (50, 180, 60), "red": (200, 50, 40)}


def write_classes(folder, each=16, size=40, seed=0, classes=tuple(COLOURS), suffix=".png"):
    """Write `each` pictures a class below `folder`, one folder a class; returns `folder`."""
    rng = np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(each):
            pixels = np.clip(rng.normal(COLOURS[name], 40, (size, size, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:03}{suffix}")
    return folder


def small(**values):
    """Settings of a run of a few seconds."""
    settings = {"epochs": 2, "batch_size": 8, "input_size": 32, "lr": 0.05, "warmup_epochs": 0, **values}
    return [f"{key}={value}" for key, value in settings.items()]
