"""One small picture of a network, whatever file it came from: nodes in the order of their work, and constant arrays.

The words are ONNX's (`Conv`, `BatchNormalization`, `HardSwish`, ...) with ONNX's meaning: NCHW, a reader of another format
translates. Owns what is true of any graph (who makes a value, who reads it); `simplify` makes it plain, `match` reads it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import ModelFileError
from ..text import quoted

MAX_NODES = 1 << 14  # the largest graph of the family has some 500
MAX_NAMES = 1 << 16  # that nodes read and make


@dataclass(frozen=True)
class Node:
    """One operation. An input that is left out is an empty name."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    def __str__(self) -> str:
        return quoted(self.name or next(filter(None, self.outputs), self.op))

    @property
    def output(self) -> str:
        """The value that it is there for."""
        return self.outputs[0] if self.outputs else ""

    def number(self, key: str, default: float) -> float:
        """An attribute that is a finite number."""
        value: float | None = self.attributes.get(key)
        if value is None:
            return default
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ModelFileError(f"{self} ({quoted(self.op)}) has the {key} {quoted(value)}, expected a number")
        return value

    def numbers(self, key: str, default: Sequence[int] | None = None) -> list[int] | None:
        """An attribute that is a short list of whole numbers."""
        value = self.attributes.get(key)
        if value is None:
            return list(default) if default is not None else None
        if not isinstance(value, list) or len(value) > 8 or any(type(n) is not int or abs(n) >> 62 for n in value):
            raise ModelFileError(f"{self} ({quoted(self.op)}) has the {key} {quoted(value)}, expected whole numbers")
        return value

    def text(self, key: str, default: str = "") -> str:
        """An attribute that is a text."""
        value = self.attributes.get(key)
        return value if isinstance(value, str) else default


@dataclass(frozen=True)
class Graph:
    """Nodes, each behind those whose values it reads; arrays by name; the inputs' sizes, None where a size is free."""

    nodes: tuple[Node, ...]
    tensors: Mapping[str, np.ndarray]
    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: tuple[str, ...]

    def makers(self) -> dict[str, Node]:
        """Value -> the node that makes it."""
        return {name: node for node in self.nodes for name in node.outputs if name}

    def readers(self) -> dict[str, list[Node]]:
        """Value -> the nodes that read it, each once."""
        out: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(filter(None, node.inputs)):
                out.setdefault(name, []).append(node)
        return out

    def live(self) -> Graph:
        """The same without what no output needs."""
        needed, kept = set(self.outputs), []
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                needed.update(filter(None, node.inputs))
                kept.append(node)
        tensors = {name: value for name, value in self.tensors.items() if name in needed}
        return Graph(tuple(reversed(kept)), tensors, self.inputs, self.outputs)


def checked(graph: Graph) -> Graph:
    """The graph itself. Raises `ModelFileError` if it is no graph: a value made twice, or read before it is made."""
    names = sum(len(node.inputs) + len(node.outputs) for node in graph.nodes)
    if len(graph.nodes) > MAX_NODES or names > MAX_NAMES:
        raise ModelFileError(f"the graph has {len(graph.nodes)} nodes and {names} names in them: no LCNet has")
    made = {*graph.tensors, *graph.inputs}
    for node in graph.nodes:
        _check_known(node.inputs, made, f"{node} ({quoted(node.op)}) reads")
        twice = next((name for name in node.outputs if name in made), None)
        if twice is not None:
            raise ModelFileError(f"{node} makes {quoted(twice)}, which is there already: the graph is damaged")
        made.update(filter(None, node.outputs))
    _check_known(graph.outputs, made, "the graph gives")
    return graph


def _check_known(names: Iterable[str], made: set[str], who: str) -> None:
    missing = next((name for name in names if name and name not in made), None)
    if missing is not None:
        raise ModelFileError(f"{who} {quoted(missing)}, which nothing before it makes: the graph is damaged")
