"""Many pictures on Ray: actors that load a model once and read their pictures themselves, and a folder of Parquet files.

Every picture is a row, once, whatever is killed: Ray notes the numbers of the rows with each file that it writes, and a run
that is resumed leaves those out. Needs `ray[data]` (extra `ray`). Refuses nodes whose model is another file.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import errors
from ..cpus import usable_cpus
from ..errors import InputError, LcnetError, MissingExtraError
from ..results.job import rows_for
from ..runtime import load
from ..sources import find
from ..sources.formats import MAX_PIXELS
from ..text import one_line, reason, short
from .answers import ID, PATH, Answers, digest_of
from .folder import Folder

__all__ = ["Done", "run"]

BLOCK = 4096  # pictures that are one task, and one file of answers
BLOCK_BYTES = 32 << 20  # of answers, unless one has more
WAITING = 2  # tasks that wait at an actor
BESIDE = 2  # processors that a Ray of our own is told of beside those of the actors: what reads and writes needs hardly any

_OURS = re.compile(r"^lcnet\.errors\.(\w+): (.*)$", re.MULTILINE)


class Done(NamedTuple):
    """What became of a run: how many pictures there are, and how many of them could not be read."""

    rows: int
    failed: int


def run(
    paths: Any,
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    kind: str = "classify",
    *,
    top_k: int = 5,
    threshold: float | None = None,
    out_indices: list[int] | None = None,
    recursive: bool = False,
    actors: int | None = None,
    threads: int = 1,
    isa: str | None = None,
    precision: str = "fp32",
    decode: str = "exact",
    max_pixels: int = MAX_PIXELS,
    resume: bool = False,
    overwrite: bool = False,
    address: str | None = None,
    block: int | None = None,
    path_column: str = PATH,
    id_column: str = ID,
    progress: bool = False,
) -> Done:
    """Answer all pictures on Ray, into a folder of Parquet files: `id`, `file`, the columns of `kind`, `error`, `milliseconds`.

    paths: as `Classifier.stream` takes them, without archives; or a `ray.data.Dataset` that is read from files, with a column
    of paths and one of whole numbers, each once, by which a run is resumed. model: a name or a path that every node has, the
    same file. output: a folder that every node sees; resume: go on with it, overwrite: begin again. kind: `classify`,
    `embeddings` or `feature_maps`. actors: by default as many as there are processors for, each with `threads`. address: of a
    cluster; without one Ray is started on this machine, unless it runs in this process. block: pictures a task and a file.
    """
    for name, value in (("actors", actors), ("threads", threads), ("block", block)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise InputError(f"{name} is {value!r}, expected a whole number of at least 1")
    ray = _ray()
    engine = {"threads": threads, "isa": isa, "precision": precision, "decode": decode, "max_pixels": max_pixels}
    asked = _asked(kind, top_k, threshold, out_indices)
    job = _Job(os.fspath(model), kind, asked, engine, actors)
    folder = Folder(Path(output), resume, overwrite)
    given = paths if isinstance(paths, ray.data.Dataset) else None
    sources = paths.found if isinstance(paths, Sources) else () if given is not None else find(paths, recursive)
    total = folder.begin(sources, job.begun_with, block or job.block)
    if not folder.done:
        with _session(ray, address, progress, job):
            if given is not None:
                given.context.checkpoint_config = _checkpoint(folder)
                job.write(ray, given.rename_columns({path_column: PATH, id_column: ID}), folder, block or job.block)
            elif total:
                job.write(ray, _listed(ray, folder), folder, block or job.block)
        folder.end()
    return Done(*folder.counted())


class Sources:
    """Pictures that were found already, as `sources.find` yields them."""

    def __init__(self, found: Iterable[Any]) -> None:
        self.found = found


class _Job:
    """What every actor is to do. Loads the model once here, so that what is wrong is told before anything is started."""

    def __init__(self, model: str, kind: str, asked: dict[str, Any], engine: dict[str, Any], actors: int | None) -> None:
        loaded = load(model, **{**engine, "threads": 1})
        loaded.answer(kind, **asked)
        rows = rows_for(loaded, kind, asked.get("top_k", 5), asked.get("out_indices"))
        self.block = max(1, min(BLOCK, BLOCK_BYTES // sum(4 * int(np.prod(shape)) for shape in rows.shapes.values())))
        self.made_of = (model, digest_of(model), kind, asked, engine)
        self.threads, self.actors = engine["threads"], actors
        options = {name: value for name, value in engine.items() if name != "threads"}
        self.begun_with = {"model": f"sha256 {self.made_of[1]}", "kind": kind, **asked, **options}

    def write(self, ray: Any, dataset: Any, folder: Folder, block: int) -> None:
        """Answer every row of a dataset, into the folder. Raises `LcnetError`."""
        room = max(1, int(ray.cluster_resources().get("CPU", 1)) // self.threads)
        pool = ray.data.ActorPoolStrategy(min_size=1, max_size=self.actors or room, max_tasks_in_flight_per_actor=WAITING)
        options = {"batch_size": block, "batch_format": "pyarrow", "num_cpus": self.threads, "udf_modifying_row_count": False}
        try:
            blocks = dataset.repartition(target_num_rows_per_block=block)  # Ray reads many small files as one block
            answers = blocks.map_batches(Answers, fn_constructor_args=self.made_of, compute=pool, **options)
            answers.write_parquet(str(folder.path), ray_remote_args={"num_cpus": 0})
        except Exception as error:
            raise _told(error) from error


def _checkpoint(folder: Folder) -> Any:
    """How Ray notes the numbers of the rows that are written, in the folder."""
    from ray.data.checkpoint import CheckpointConfig

    return CheckpointConfig(ID, str(folder.checkpoint), delete_checkpoint_on_success=False)


def _listed(ray: Any, folder: Folder) -> Any:
    """The rows of the list. A dataset has the settings that there are when it is begun."""
    context = ray.data.DataContext.get_current()
    before, context.checkpoint_config = context.checkpoint_config, _checkpoint(folder)
    try:
        return ray.data.read_parquet(str(folder.list), num_cpus=0)
    finally:
        context.checkpoint_config = before


def _asked(kind: str, top_k: int, threshold: float | None, out_indices: list[int] | None) -> dict[str, Any]:
    if kind == "classify":
        return {"top_k": top_k, "threshold": threshold}
    return {"out_indices": out_indices} if kind == "feature_maps" else {}


def _told(error: BaseException) -> LcnetError:
    """The error of ours that happened in an actor, of which Ray keeps the text only, or else the last line of what it says."""
    ours = _OURS.findall(str(error))
    if ours:
        kind = getattr(errors, ours[-1][0], LcnetError)
        return kind(one_line(ours[-1][1])) if issubclass(kind, LcnetError) else LcnetError(one_line(ours[-1][1]))
    said = str(error).strip().rpartition("\n")[2] or type(error).__name__
    return LcnetError(f"the run on Ray has failed, and can be resumed: {short(one_line(said))}")


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingExtraError("running on Ray needs ray[data]: pip install 'lcnet[ray]'") from None
    return ray


@contextmanager
def _session(ray: Any, address: str | None, progress: bool, job: _Job) -> Iterator[None]:
    """A cluster, joined or started here and left again; one that this process is in already is used as it is."""
    own = not ray.is_initialized()
    if not own and address is not None:
        raise InputError("this process is in a Ray cluster already: leave the address out")
    if own:
        job.actors = job.actors or (None if address else max(1, usable_cpus() // job.threads))
        local = {} if address else {"include_dashboard": False, "num_cpus": job.threads * (job.actors or 1) + BESIDE}
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it has files for the rest
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        try:
            ray.init(address or "local", log_to_driver=False, logging_level="ERROR", **local)
        except Exception as error:
            raise LcnetError(f"Ray cannot be reached or started: {one_line(reason(error))}") from error
    context = ray.data.DataContext.get_current()
    before = context.enable_progress_bars
    context.enable_progress_bars = progress
    try:
        yield
    finally:
        context.enable_progress_bars = before
        if own:
            ray.shutdown()
