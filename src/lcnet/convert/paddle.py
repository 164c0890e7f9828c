"""A Paddle inference model: its graph (`.json` or `.pdmodel`), its parameters (`.pdiparams`) and its YAML, wherever they lie.

Owns which files belong together: those of one stem, whatever it is, in one folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..errors import ModelFileError
from ..text import plain
from .graph import Graph
from .operators import to_graph
from .pdiparams import read_pdiparams
from .program import read_pir, read_program

PARAMETERS = ".pdiparams"
GRAPHS = {".json": read_pir, ".pdmodel": read_program}
CONFIGS = (".yml", ".yaml")


class Parts(NamedTuple):
    """The files of one model."""

    graph: Path
    parameters: Path
    config: Path | None


class Paddle(NamedTuple):
    """A graph with its parameters, and in which format it came."""

    graph: Graph
    format: str


def is_part(path: Path) -> bool:
    """Whether a file is named as one of a Paddle inference model."""
    return path.suffix in (PARAMETERS, ".pdmodel") or path.name == "inference.json" or _is_graph(path)


def _is_graph(path: Path) -> bool:
    return path.suffix == ".json" and path.with_suffix(PARAMETERS).is_file()


def parts_of(path: Path) -> Parts:
    """The files of the model in a folder, or of the model that a file is part of. Raises `ModelFileError`."""
    parameters = _parameters(path) if path.is_dir() else path.with_suffix(PARAMETERS)
    graphs = [parameters.with_suffix(suffix) for suffix in GRAPHS]
    graph = path if path.suffix in GRAPHS and path.is_file() else next((g for g in graphs if g.is_file()), None)
    missing = parameters if not parameters.is_file() else None if graph else graphs[0]
    if graph is None or missing is not None:
        also = f" (or {plain(graphs[1].name)})" if missing in graphs else ""
        raise ModelFileError(
            f"a Paddle model needs {plain(missing.name) if missing else ''}{also} beside the rest, which is not there"
        )
    return Parts(graph, parameters, _config(parameters))


def _parameters(folder: Path) -> Path:
    found = sorted(entry for entry in folder.iterdir() if entry.suffix == PARAMETERS)
    if not found:
        return folder / f"inference{PARAMETERS}"
    if len(found) != 1:
        names = ", ".join(plain(path.name) for path in found[:3])
        raise ModelFileError(f"the folder has {len(found)} files of Paddle parameters ({names}): name the one that you mean")
    return found[0]


def _config(parameters: Path) -> Path | None:
    """The YAML beside the parameters: of the same stem, `inference.yml`, or the only one; without any, `config.json`."""
    stem, folder = parameters.with_suffix(""), parameters.parent
    names = [stem.with_suffix(suffix) for suffix in CONFIGS] + [folder / f"inference{suffix}" for suffix in CONFIGS]
    others = sorted(entry for entry in folder.iterdir() if entry.suffix in CONFIGS)
    names += others[:1] if len(others) == 1 else [folder / "config.json"]
    return next((path for path in names if path.is_file()), None)


def read_paddle(graph: Path, files: Mapping[Path, bytes]) -> Paddle:
    """Read a graph and the parameters beside it from their bytes. Raises `ModelFileError`."""
    program = GRAPHS[graph.suffix](files[graph])
    parameters = next(data for path, data in files.items() if path.suffix == PARAMETERS)
    return Paddle(to_graph(program, read_pdiparams(parameters, program.parameters)), program.format)
