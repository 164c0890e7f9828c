"""Which tensors of a checkpoint are the network: the dictionary that holds them, and what stands before all their names.

Nothing is known of the projects that write checkpoints. A network is where a stem's weight is: the way to its dictionary
(`state_dict`, `parts.ema.module`, ...) and the prefix of its name (`model.`, `module._orig_mod.`, ...) are the network's.
Of several the averaged one is preferred, if that is wanted, then timm's order; two that are equally good are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..errors import ModelFileError
from ..text import quoted
from .tensors import Array, Tensor
from .unpickle import describe

STEMS = ("conv_stem.weight", "conv1.conv.weight", "stem.0.conv.weight")  # timm's name, PaddleClas's, and both's of PP-LCNetV2
BACKBONE, NECK = "backbone.", "neck.feat_bn."  # what PaddleClas calls the two in a network of embeddings
ORDER = ("state_dict_ema", "model_ema", "state_dict", "model")  # timm's
AVERAGED = re.compile(r"(?<![a-z])(ema|swa|averaged?|avg)(?![a-z])")
PADDLE_NAMES = "StructuredToParameterName@@"  # paddle stores this table among the tensors
NO_LOSS = (PADDLE_NAMES, "n_averaged")  # what else stands beside a network and is worth no word; torch's SWA counts so
MAX_DEPTH = 3  # dictionaries in dictionaries


class Network(NamedTuple):
    """A dictionary of tensors, the way to it, and the prefix of those that are the network's."""

    path: tuple[str, ...]
    entries: dict[Any, Any]
    prefix: str = ""
    stem: bool = False

    @property
    def key(self) -> str | None:
        """The way as one text; None if the file is the dictionary."""
        return ".".join(self.path) or None

    @property
    def averaged(self) -> bool:
        """Whether its name says that it is an average."""
        return AVERAGED.search(f"{self.key}.{self.prefix}".lower()) is not None

    def __str__(self) -> str:
        return " ".join(quoted(part) for part in (self.key, self.prefix and f"{self.prefix}*") if part) or "no prefix"


def find_network(root: Any, use_ema: bool) -> Network:
    """The network of a checkpoint. Raises `ModelFileError` if there is none, or several among which nothing decides."""
    found = list(_networks(root))
    stems = [network for network in found if network.stem]
    known = stems or [n for n in found if not n.path or n.path[-1] in ORDER]
    if not known:
        return found[0] if len(found) == 1 else _without(root)
    known = [n for n in known if n.averaged == use_ema] or known
    if stems and not use_ema and known[0].averaged:
        raise ModelFileError(f"has averaged weights only ({known[0]}): leave out --no-ema (use_ema=False)")
    ranks = [_rank(network) for network in known]
    best = [n for n, rank in zip(known, ranks, strict=True) if rank == min(ranks)]
    if len(best) > 1:
        raise ModelFileError(
            f"has {len(best)} networks ({'; '.join(map(str, best[:4]))}): expected one; save the one that you mean by itself"
        )
    return best[0]


def _rank(network: Network) -> int:
    names = [name for name in ORDER if name in network.path]
    return ORDER.index(names[0]) if names else len(ORDER) + (not network.path)


def _without(root: Any) -> Network:
    """Where the tensors should be in a checkpoint that has none, or not where anybody would look for them."""
    key = next((k for k in ORDER if root.get(k) is not None), None) if isinstance(root, dict) else None
    found = root if key is None else root[key]
    if not isinstance(found, dict):
        raise ModelFileError(
            f"{key or 'the checkpoint'} is {describe(found)}, expected a dictionary of tensors:"
            " save model.state_dict(), not the model"
        )
    return Network((key,) if key else (), found)


def _networks(root: Any) -> Iterator[Network]:
    for path, entries in _dictionaries(root):
        names = [k for k, v in entries.items() if isinstance(k, str) and isinstance(v, (Tensor, Array))]
        stems = [name for name in names if name.endswith(STEMS)]
        prefixes = [name.removesuffix(stem) for name in stems for stem in STEMS if name.endswith(stem)]
        whole = [prefix for prefix in prefixes if prefix[-1:] in ("", ".")]
        yield from (Network(path, entries, prefix, stem=True) for prefix in whole)
        if names and not whole:
            yield Network(path, entries)


def _dictionaries(root: Any) -> Iterator[tuple[tuple[str, ...], dict[Any, Any]]]:
    """The dictionaries in a dictionary, each once: a pickle can hold the same one as often as it likes."""
    level: list[tuple[tuple[str, ...], Any]] = [((), root)]
    seen: set[int] = set()
    for _ in range(MAX_DEPTH + 1):
        level = [(path, found) for path, found in level if isinstance(found, dict)]
        below: list[tuple[tuple[str, ...], Any]] = []
        for path, found in level:
            if id(found) not in seen:
                seen.add(id(found))
                yield path, found
                below += [((*path, key), value) for key, value in found.items() if isinstance(key, str)]
        level = below


def named_tensors(network: Network) -> tuple[dict[str, Any], list[str]]:
    """The network's entries by their names without the prefix, and the names of those that are not its own.

    The batch norm of embeddings beside a backbone is its own, by its name.
    """
    out: dict[str, Any] = {}
    beside = network.prefix.removesuffix(BACKBONE)
    prefixes = (network.prefix, beside + NECK) if network.prefix.endswith(BACKBONE) else (network.prefix,)
    for key, value in network.entries.items():
        if not isinstance(key, str):
            raise ModelFileError(f"a tensor's name is {describe(key)}, expected a text")
        if key.startswith(prefixes):
            out[key.removeprefix(prefixes[0] if key.startswith(prefixes[0]) else beside)] = value
    others = [key for key in network.entries if not key.startswith(prefixes) and key not in NO_LOSS]
    out.pop(PADDLE_NAMES, None)
    return out, others
