"""Which feature maps there are and which were asked for: timm's `feature_info` interface and its index rules.

Order is the asker's: `feature_info` and the returned maps both follow the indices as given, also when these are not
sorted (timm describes the maps in that order but returns them in the network's).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import InputError

Indices = int | Sequence[int] | None


def take_indices(count: int, indices: Indices) -> tuple[int, ...]:
    """Resolve indices of `count` things: None all, an int the last n, a sequence those (negative: from the end).

    Raises `InputError` for an index out of range or an empty choice.
    """
    if isinstance(indices, int):
        if not 1 <= indices <= count:
            raise InputError(f"the last {indices} feature maps were asked for, expected 1 to {count}")
        return tuple(range(count - indices, count))
    chosen = tuple(range(count) if indices is None else indices)
    for index in chosen:
        if not -count <= index < count:
            raise InputError(f"feature index {index} is out of range: expected {-count} to {count - 1}")
    if not chosen:
        raise InputError(f"no feature map was asked for: give indices from 0 to {count - 1}")
    return tuple(index % count for index in chosen)


class FeatureInfo:
    """Facts about the feature maps: `info` holds one dict per map (index, stage, reduction, module, num_chs)."""

    def __init__(self, info: list[dict[str, Any]], out_indices: Indices = None) -> None:
        self.info = info
        self.out_indices = take_indices(len(info), out_indices)

    def get_dicts(self, keys: Sequence[str] | None = None, idx: int | Sequence[int] | None = None) -> Any:
        """The dicts, or only `keys` of them, of the maps asked for; `idx` names others (an int gives one dict)."""
        if isinstance(idx, int):
            row = self.info[idx]
            return row if keys is None else {key: row[key] for key in keys}
        return [self.get_dicts(keys, i) for i in (self.out_indices if idx is None else idx)]

    def get(self, key: str, idx: int | Sequence[int] | None = None) -> Any:
        """One fact of each of the maps asked for; `idx` names others (an int gives one value)."""
        if isinstance(idx, int):
            return self.info[idx][key]
        return [self.info[i][key] for i in (self.out_indices if idx is None else idx)]

    def channels(self, idx: int | Sequence[int] | None = None) -> Any:
        """Channels of the maps."""
        return self.get("num_chs", idx)

    def reduction(self, idx: int | Sequence[int] | None = None) -> Any:
        """Input pixels per map pixel, in each direction."""
        return self.get("reduction", idx)

    def module_name(self, idx: int | Sequence[int] | None = None) -> Any:
        """Names of the modules whose outputs the maps are."""
        return self.get("module", idx)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.info[index]

    def __len__(self) -> int:
        return len(self.info)
