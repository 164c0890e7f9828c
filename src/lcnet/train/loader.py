"""From pictures to batches: decode, crop, scale, flip, RandAugment in worker processes; normalise where the network is.

Batches travel as uint8 in channels-last memory, a quarter of their float size. What is random about a picture comes from
the seed that travels with its index, so that the number of workers changes nothing. An unreadable picture raises
`ImageError` with its name: nothing takes its place.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from ..config import Preprocessing
from ..dataset import Dataset
from ..dataset.arrays import array_of, is_array
from ..errors import ImageError, InputError, LcnetError, TrainingError
from ..image import resize, resize_crop
from ..image.pixels import decode
from ..sources.formats import MAX_PIXELS
from .augment import randaugment
from .augment.crop import random_resized_crop, shifted, shifted_crop
from .recipe import Recipe, sides
from .sampler import Item, Order

FILTERS = {name: tuple(f.name.lower() for f in filters) for name, filters in randaugment.FILTERS.items()}


def read_pixels(
    dataset: Dataset, index: int, preprocessing: Preprocessing, needed: Any = None, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Decode one sample: uint8 [H,W,C], for an RGB file [H,W,4] with a meaningless fourth byte. Raises `ImageError`."""
    name, data = dataset.names[index], dataset.read(index)
    if is_array(data):
        return _fitting(array_of(data, name), name, preprocessing.input_size[0])
    try:
        return decode(data, preprocessing, max_pixels, needed, padded=True)
    except LcnetError as error:
        raise ImageError(f"{name}: {str(error).removeprefix('image bytes: ')}") from None


def _fitting(pixels: np.ndarray, name: str, channels: int) -> np.ndarray:
    if pixels.shape[2] != channels:
        raise ImageError(f"{name}: it has {pixels.shape[2]} channels, the network takes {channels}")
    return pixels


@dataclass(frozen=True)
class TrainTransform:
    """The random part of a recipe that works on single pictures (timm's order: crop and scale, flip, RandAugment)."""

    recipe: Recipe
    preprocessing: Preprocessing
    max_pixels: int = MAX_PIXELS

    @cached_property
    def randaugment(self) -> randaugment.RandAugment:
        """The ops; what comes into view is filled with the mean colour."""
        fill = tuple(min(max(round(255 * m), 0), 255) for m in self.preprocessing.mean[self.preprocessing.order])
        return randaugment.RandAugment(self.recipe.randaugment, fill, self.recipe.interpolation)

    def __call__(self, dataset: Dataset, index: int, seed: int) -> np.ndarray:
        """Return uint8 [height,width,C]. Raises `ImageError`."""
        rng, size, channels = random.Random(seed), sides(self.recipe.input_size), self.preprocessing.input_size[0]
        pixels = CROPS[self.recipe.crop].cut(self, dataset, index, rng, size)[:, :, :channels]
        if rng.random() < self.recipe.hflip:
            pixels = pixels[:, ::-1]
        if rng.random() < self.recipe.vflip:
            pixels = pixels[::-1]
        return self._augmented(pixels, rng) if self.recipe.randaugment else pixels

    def _resized(self, dataset: Dataset, index: int, rng: random.Random, size: tuple[int, int]) -> np.ndarray:
        box: list[int] = []  # top, left, height, width, of the picture at its full size

        def needed(height: int, width: int) -> tuple[int, int]:
            box[:] = random_resized_crop(rng, height, width, self.recipe.scale, self.recipe.ratio)
            full.extend((height, width))
            return -(-height * size[0] // box[2]), -(-width * size[1] // box[3])

        full: list[int] = []
        pixels = read_pixels(dataset, index, self.preprocessing, needed, self.max_pixels)
        if not box:  # no JPEG: nobody asked
            needed(*pixels.shape[:2])
        top, left, height, width = _scaled(box, full, pixels.shape)
        return resize(pixels[top : top + height, left : left + width], size, self._filter(rng))

    def _shifted(self, dataset: Dataset, index: int, rng: random.Random, size: tuple[int, int]) -> np.ndarray:
        pixels = read_pixels(dataset, index, self.preprocessing, max_pixels=self.max_pixels)
        scaled = resize(pixels, size, self._filter(rng))
        return shifted(scaled, *shifted_crop(rng, size, self.recipe.shift))

    def _filter(self, rng: random.Random) -> str:
        names = FILTERS[self.recipe.interpolation]
        return rng.choice(names) if len(names) > 1 else names[0]  # a choice of one draws too: timm does not

    def _augmented(self, pixels: np.ndarray, rng: random.Random) -> np.ndarray:
        from PIL import Image

        if pixels.shape[2] not in (1, 3):
            raise InputError(
                f"randaugment needs grey or RGB pictures, these have {pixels.shape[2]} channels: --set randaugment="
            )
        image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))
        out = np.asarray(self.randaugment(image, rng))
        return out[:, :, None] if out.ndim == 2 else out


class Crop(NamedTuple):
    """How training sees a picture, and the finished model."""

    cut: Callable[[TrainTransform, Dataset, int, random.Random, tuple[int, int]], np.ndarray]
    crop_mode: str | None  # of the finished model; None: its own


CROPS = {"resized": Crop(TrainTransform._resized, None), "shifted": Crop(TrainTransform._shifted, "squash")}


def _scaled(box: list[int], full: list[int], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Fit a box to a picture that was decoded at a fraction of its size."""
    if tuple(full) == shape[:2]:
        return box[0], box[1], box[2], box[3]
    y, x = shape[0] / full[0], shape[1] / full[1]
    top, left = min(int(box[0] * y), shape[0] - 1), min(int(box[1] * x), shape[1] - 1)
    height, width = max(1, min(round(box[2] * y), shape[0] - top)), max(1, min(round(box[3] * x), shape[1] - left))
    return top, left, height, width


@dataclass(frozen=True)
class TestTransform:
    """What the finished model does with a picture, to the bit, before it normalises."""

    preprocessing: Preprocessing
    max_pixels: int = MAX_PIXELS

    def __call__(self, dataset: Dataset, index: int, seed: int) -> np.ndarray:
        """Return uint8 [H,W,C]; `seed` changes nothing."""
        pixels = read_pixels(dataset, index, self.preprocessing, max_pixels=self.max_pixels)
        return resize_crop(np.ascontiguousarray(pixels[:, :, : self.preprocessing.input_size[0]]), self.preprocessing)


@dataclass(frozen=True)
class TransformedPictures(TorchDataset[Any]):
    """Pictures and targets for torch's DataLoader, asked for by (index, seed)."""

    dataset: Dataset
    transform: Any

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, item: Item) -> tuple[np.ndarray | LcnetError, np.ndarray]:
        index, seed = item
        try:
            return self.transform(self.dataset, index, seed), self.dataset.targets[index]
        except LcnetError as error:  # raised from a worker, torch would wrap its traceback around it
            return error, self.dataset.targets[index]


def collate(samples: list[tuple[np.ndarray | LcnetError, np.ndarray]]) -> tuple[Tensor, Tensor] | LcnetError:
    """Stack to uint8 [N,C,H,W] in channels-last memory, and targets int64 [N] or uint8 [N,K]; or the first error."""
    pixels = []
    for sample, _ in samples:
        if isinstance(sample, LcnetError):
            return sample
        pixels.append(sample)
    images = torch.from_numpy(np.stack(pixels))
    return images.permute(0, 3, 1, 2), torch.from_numpy(np.stack([target for _, target in samples]))


class Batches:
    """The part batches of one epoch after another, for torch's DataLoader."""

    def __init__(self, order: Order) -> None:
        self.order, self.epoch, self.first_step = order, 0, 0

    def __iter__(self) -> Iterator[list[Item]]:
        return self.order.part_batches(self.epoch, self.first_step)

    def __len__(self) -> int:
        return (self.order.steps - self.first_step) * self.order.parts


@dataclass(frozen=True)
class LoaderOptions:
    """How batches are made, which changes nothing in them. workers: processes; 0: the caller's own. max_pixels: of a file."""

    workers: int = 1
    pin: bool = False
    max_pixels: int = MAX_PIXELS


class TrainLoader:
    """Batches of augmented pictures, epoch by epoch."""

    def __init__(
        self, dataset: Dataset, recipe: Recipe, preprocessing: Preprocessing, order: Order, options: LoaderOptions
    ) -> None:
        self.batches = Batches(order)
        pictures = TransformedPictures(dataset, TrainTransform(recipe, preprocessing, options.max_pixels))
        self.loader = loader_of(pictures, self.batches, options)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield uint8 [n,C,H,W] and targets, one part of a step after another. Raises `ImageError`."""
        self.batches.epoch, self.batches.first_step = epoch, first_step
        return whole(iter(self.loader))  # which draws from torch's generator: now, before the step has seeded it


def whole(batches: Iterable[tuple[Tensor, Tensor] | LcnetError]) -> Iterator[tuple[Tensor, Tensor]]:
    """Pass batches on, and raise the error that stands in the place of one."""
    for batch in batches:
        if isinstance(batch, LcnetError):
            raise batch
        yield batch


def test_loader(
    dataset: Dataset, preprocessing: Preprocessing, batch_size: int, indices: range, options: LoaderOptions
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of the samples in `indices`, prepared as the finished model prepares them."""
    starts = range(0, len(indices), batch_size)
    batches = [[(i, 0) for i in indices[start : start + batch_size]] for start in starts]
    return whole(loader_of(TransformedPictures(dataset, TestTransform(preprocessing, options.max_pixels)), batches, options))


def loader_of(pictures: TransformedPictures, batches: Any, options: LoaderOptions) -> DataLoader[Any]:
    """torch's loader of batches, each a list of (index, seed), for `whole`."""
    return DataLoader(
        pictures,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=options.workers,
        pin_memory=options.pin,
        persistent_workers=options.workers > 0,
        worker_init_fn=_start_worker,
    )


def _start_worker(_: int) -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for all processes of a terminal: the first one ends the others


@contextmanager
def whole_workers() -> Iterator[None]:
    """Turn the death of a process that decodes, of which torch tells at any moment, into a `TrainingError`."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise TrainingError(
            f"a process that decodes pictures ended: {str(error).splitlines()[0].strip().rstrip('.')}; if memory ran out, try "
            "fewer --workers, or 0; the same command with --resume goes on"
        ) from None


@dataclass(frozen=True)
class Normalize:
    """uint8 batches to float32, on their device: (x - 255 mean) / (255 std), as timm's prefetcher does.

    Colours change from RGB to the order that the network takes.
    """

    preprocessing: Preprocessing

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 [N,C,H,W] -> float32 of the same memory layout."""
        mean, std = (
            torch.tensor(values, device=images.device).mul(255)[:, None, None]
            for values in (self.preprocessing.mean, self.preprocessing.std)
        )
        ordered = images.flip(1) if self.preprocessing.channel_order == "bgr" else images
        return ordered.float().sub_(mean).div_(std)


def for_training(preprocessing: Preprocessing, recipe: Recipe) -> Preprocessing:
    """The finished model's preprocessing under a recipe: its own, but for what the recipe says of it.

    That is size and crop where they are not 0, and whole pictures if it was trained on such.
    """
    mode = CROPS[recipe.crop].crop_mode or preprocessing.crop_mode
    size = (preprocessing.input_size[0], *sides(recipe.final_size)) if recipe.final_size else preprocessing.input_size
    return replace(preprocessing, input_size=size, crop_pct=recipe.crop_pct or preprocessing.crop_pct, crop_mode=mode)
