"""Pictures of a tree whose labels are not their folders, part by part, as they are found."""

from __future__ import annotations

from array import array

import numpy as np

from .labels import targets_of
from .samples import Dataset, NamesBuilder, Splits, check_classes, check_parts
from .trees import Tree


class Gathered:
    """Names and labels, each distinct set of labels held once."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.names: dict[str, NamesBuilder] = {}
        self.numbers: dict[str, array[int]] = {}
        self.labels: dict[tuple[str, ...], int] = {}

    def add(self, part: str, prefix: str, base: str, labels: tuple[str, ...]) -> None:
        """Take a picture; prefix: `Tree.prefix` of its folder."""
        self.names.setdefault(part, NamesBuilder()).add(prefix, base)
        self.numbers.setdefault(part, array("i")).append(self.labels.setdefault(labels, len(self.labels)))

    def splits(self, place: str, classes: tuple[str, ...]) -> Splits:
        """Return the parts; sets of labels if any picture has not exactly one. Raises `InputError`, naming `place`."""
        check_classes(place, classes)
        table = targets_of(list(self.labels), classes, any(len(labels) != 1 for labels in self.labels))
        parts = {part: self._dataset(part, classes, table) for part in self.names}
        check_parts(place, parts)
        return Splits(**parts)

    def _dataset(self, part: str, classes: tuple[str, ...], table: np.ndarray) -> Dataset:
        names = self.names[part].build()
        return Dataset(classes, table[np.array(self.numbers[part], np.int64)], names, self.tree.store(names))
