"""Galleries for tests: of made vectors, without a network, or of pictures through the bundled one."""

import numpy as np

import lcnet.gallery
from lcnet.gallery.about import About
from lcnet.gallery.store import Content, Row, Store

MODEL = "lcnet_050.cifar10"


def about(dimension=64, coding="int8", **other):
    given = {"model": "m", "model_sha256": "0" * 64, "preprocessing": "{}", "precision": "fp32"} | other
    return About(**given, dimension=dimension, coding=coding)


def clustered(count, dimension=64, seed=0):
    """Vectors of few intrinsic dimensions, none far below zero, as embeddings are: float32 [count,dimension]."""
    rng = np.random.default_rng(seed)
    few = rng.normal(size=(count, 16)) @ np.random.default_rng(1).normal(size=(16, dimension))
    return np.maximum(few + rng.normal(0, 0.2, (count, dimension)), -0.375).astype(np.float32)


def row(number, vector, path=None):
    """A made picture: its sha256 is its number."""
    digest = number.to_bytes(32, "big")
    return Row(path or f"p{number:06}.jpg", (1, number), digest, Content(digest, digest, digest[:16], False), vector)


def made(path, vectors, **other):
    """A gallery of these vectors, closed."""
    store = Store.create(path, about(vectors.shape[1], **other))
    store.put([row(i, vector) for i, vector in enumerate(vectors)])
    store.close()
    return path


def indexed(path, *images, **options):
    """A gallery of pictures through the bundled network, open, and what became of each."""
    gallery = lcnet.gallery.create(path, MODEL, threads=1, **options)
    return gallery, list(gallery.add([str(image) for image in images]))
