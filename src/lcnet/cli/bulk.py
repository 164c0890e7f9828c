"""What `classify`, `embed` and `features` do with any number of pictures: find them, run the job, say what became of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ImageError, InputError
from ..sources import count_below, find, find_listed
from ..sources.found import Found
from ..sources.passed import Passed, counted
from ..stop import code
from ..text import plain
from .advice import advised
from .codes import INCOMPLETE, Misuse
from .options import load_model, say
from .progress import Progress
from .shards import ShardRows, is_complete, surveyed
from .streams import on_terminal

if TYPE_CHECKING:
    from ..results.outputs import Output
    from ..results.part import Part
    from ..results.update import Update
    from ..runtime import Classifier
    from ..runtime.stream import Streamed

Options = Callable[["Classifier"], dict[str, Any]]
TOLD = 10  # unreadable pictures that are told one by one when rows name them all
# Options that change no result, or that the file of results does not depend on: the pictures are compared one by one.
FREE = frozenset(
    "images recursive files_from threads output resume update prune overwrite style timing isa model".split()
    + "shard ray ray_address".split()
)
KINDS = {"new": "new", "changed": "changed", "failed": "tried again", "same": "as they were"}  # what an update says of them


class Bulk:
    """One run of a command over the pictures that its options name."""

    def __init__(self, ctx: click.Context, kind: str, options: Options = lambda _: {}) -> None:
        """Find the first picture and load the model. kind and options: as `Classifier.answer` takes them, of that model."""
        from ..results.job import Job, rows_for, settle  # and numpy, which no help needs

        self.ctx = ctx
        given = ctx.params
        if not given["images"] and given["files_from"] is None:
            raise Misuse("name IMAGES (files, folders, patterns, archives), or a list of them with --files-from")
        look = 0 if given["files_from"] == "-" else 2  # how far to look ahead: standard input may be slow
        self.passed, self.listed = Passed(), 0  # what was not taken; how many names the list had so far
        self.shard, self.listing = given["shard"], surveyed(given) if given["shard"] else None
        self.shard_rows = ShardRows(given, self.shard, self.passed, self.listing) if self.listing else None
        self.sources: Any = settle(self._found(), look)
        self.model: Classifier = load_model(given)
        asked = options(self.model)
        self.job = Job(self.model, kind, given["frames"], look, **asked)
        top, indices = asked.get("top_k", 1), asked.get("out_indices")
        self.rows = rows_for(self.model, kind, top, indices, given.get("wide", False))

    def _found(self) -> Iterator[Any]:
        given = self.ctx.params
        if self.shard_rows is not None:
            return iter(self.shard_rows)
        found = found_in(given, _with_input(given), self.passed, self._names())
        if found is not None:
            return found
        none_asked = not given["images"] and not self.listed  # an empty list asks for nothing
        if not (none_asked or given["update"]):
            raise InputError(self._nothing())
        if not none_asked:
            say(f"lcnet: {self._nothing()}", err=True)
            self.passed = Passed()
        return iter(())

    def _names(self) -> Iterator[str]:
        for name in listed(self.ctx.params["files_from"]):
            self.listed += 1
            yield name

    def _nothing(self) -> str:
        below = below_text(self.passed)
        where = (
            "in the folders themselves"
            if below
            else "the folders, lists or archives given hold no file with a known image suffix"
        )
        passed = self.passed.text()
        return f"no images{' ' if below else ': '}" + "; ".join(filter(None, [where, passed, below]))

    def count(self) -> int | None:
        """How many pictures there are, or None if that takes too long to find out."""
        from ..sources import count

        given = self.ctx.params
        if self.listing is not None:
            return int(self.shard.rows(self.listing.total))
        if given["files_from"] == "-" or given["frames"] != "first" or given["update"]:
            return None
        known = count(given["images"], given["recursive"])
        more = count(listed(given["files_from"]), given["recursive"]) if given["files_from"] is not None else 0
        return None if known is None or more is None else known + more

    def print_rows(self, style: str, safe: bool = False) -> None:
        """Print the rows that a file would have."""
        from .printed import PRINTERS

        printer = PRINTERS[style](self.rows, safe)
        self.show(printer.image, printer.end, TOLD)

    def show(self, each: Callable[[Streamed], None], end: Callable[[], None] | None = None, told: int = sys.maxsize) -> None:
        """Call `each` for every picture, in order, and `end` however it ends; tell of at most `told` that are unreadable."""
        progress = Progress(sys.stderr, self.count, draw=not on_terminal(sys.stdout))
        try:
            for item in self.job.results(self.sources):
                self._tell(item, progress, told)
                each(item)
                progress.advance()
        except KeyboardInterrupt as stopped:
            self._stopped(progress, stopped, self.job.done)
        finally:
            if end is not None:
                end()
        self._finish(progress, self.job.failed, self.job.done)

    def write(self, path: Path) -> None:
        """Write every picture to a file of results, or with --update those that it has not."""
        given = self.ctx.params
        part = self._part()
        if part is not None and given["resume"] and is_complete(path, part):
            say(f"{plain(path)}: shard {part.shard} is complete")
            return
        progress = Progress(sys.stderr, self.count)
        output: Any = None  # an `Output` or an `Update`
        try:
            with self._opened(path, progress, part) as output:
                self._run(output, progress)
        except KeyboardInterrupt as stopped:
            goes_on = "" if given["update"] else " with --resume"
            kept = f"; {plain(path)} holds them, and the same command{goes_on} goes on"
            self._stopped(progress, stopped, output.done if output else 0, kept)
        progress.clear()
        if given["update"]:
            self._sum_up(path, output, progress)
        else:
            say(f"{plain(path)}: {counted(output.done - output.failed, 'image')}")
        self._finish(progress, output.failed, output.done)

    def _opened(self, path: Path, progress: Progress, part: Part | None) -> Output | Update:
        given = self.ctx.params
        safe, begun = bool(given.get("csv_safe")), part.begun_with if part is not None else self._begun_with()
        if given["update"]:
            from ..results.update import Update

            return Update(path, self.rows, begun, given["prune"], safe, progress.show)
        from ..results.outputs import Output

        return Output(path, self.rows, begun, given["resume"], given["overwrite"], safe, progress.show, part)

    def _run(self, output: Output | Update, progress: Progress) -> None:
        def each(item: Streamed) -> None:
            self._tell(item, progress, TOLD)
            progress.advance()

        self.job.write(self.sources, output, each, begin=lambda: progress.begin(output.done))
        if self.shard_rows is not None:
            self.shard_rows.check()

    def _tell(self, item: Streamed, progress: Progress, most: int) -> None:
        if item.error is not None and self.job.failed <= most:
            progress.say(advised(item.error))

    def _sum_up(self, path: Path, update: Update, progress: Progress) -> None:
        """One line of what an update did."""
        for remark in update.remarks:
            progress.say(remark)
        taken = update.known.taken
        what = [f"{taken[kind]:,} {text}" for kind, text in KINDS.items() if taken[kind]]
        gone = "dropped" if update.known.prune else "kept"
        what += [f"{update.gone:,} not found any more, {gone}"] if update.gone else []
        say(f"{plain(path)}: {', '.join(what) or 'nothing new'}")

    def _untaken(self) -> Iterator[str]:
        """What was not taken, a sentence each."""
        yield from untaken(self.passed)
        if self.job.several:
            several = counted(self.job.several, "file")
            yield f"{several} with several frames, of which the first was taken: --frames all takes all"

    def _begun_with(self) -> dict[str, Any]:
        given = self.ctx.params
        name = f"{given['model']} (sha256 {_fingerprint(given['model'], self.model)})"
        free = {"command": self.ctx.info_name, "model": name, "isa": self.model.isa}
        return {**free, **{f"--{k.replace('_', '-')}": v for k, v in given.items() if k not in FREE}}

    def _part(self) -> Part | None:
        """What a file of results is a part of: the same of all shards, by whatever names and paths they have it."""
        if self.listing is None:
            return None
        from importlib.metadata import version

        from .. import hub
        from ..results.part import Part

        given = self._begun_with()
        file = hub.locate(self.ctx.params["model"]).path
        arithmetic = f"{given.pop('isa')} {self.model.precision}, lcnet {version('lcnet')}"
        given["model"] = f"sha256 {sha256(file.read_bytes()).hexdigest()}"
        known = {"list": f"sha256 {self.listing.sha256}", "arithmetic": arithmetic, **given}
        known["model's description"] = f"sha256 {sha256(_description(self.model)).hexdigest()}"  # it may be a file of its own
        return Part(self.shard, self.listing.total, self.rows.lines, known)

    def _stopped(self, progress: Progress, by: KeyboardInterrupt, done: int, kept: str = "") -> None:
        progress.say(f"stopped after {done} images{kept if done else ''}")
        self.ctx.exit(code(by))

    def _finish(self, progress: Progress, failed: int, done: int) -> None:
        progress.clear()
        for text in self._untaken():
            progress.say(text)
        if failed:
            progress.say(f"{failed} of {done} images could not be read")
            self.ctx.exit(INCOMPLETE)


def found_in(
    given: dict[str, Any], paths: Sequence[Any], passed: Passed, names: Iterable[str] | None = None
) -> Iterator[Any] | None:
    """All pictures of paths, and of the list that --files-from names; None if there is none.

    names: of the list, where somebody counts them.
    """
    limits = {"recursive": given["recursive"], "max_member": given["max_member"] << 20, "passed": passed}
    found = iter(find(list(paths), **limits))
    if given["files_from"] is not None:
        found = chain(found, find_listed(listed(given["files_from"]) if names is None else names, **limits))
    first = next(found, None)
    return chain([first], found) if first is not None else None


def untaken(passed: Passed) -> Iterator[str]:
    """What was found and not taken, a sentence each."""
    return filter(None, [passed.text(), below_text(passed)])


def below_text(passed: Passed) -> str:
    """What is in folders that were not entered; "" if nothing."""
    below, all_counted = count_below(passed.unopened)
    least = "" if all_counted else "at least "
    return f"{least}{counted(below, 'picture')} in folders below: --recursive takes them too" if below else ""


def _with_input(given: dict[str, Any]) -> list[Any]:
    """The images, with standard input in place of -."""
    images = list(given["images"])
    if images.count("-") + (given["files_from"] == "-") > 1:
        raise Misuse("- is named twice: standard input is one picture, or one list with --files-from")
    return [Found("-", _standard_input) if image == "-" else image for image in images]


def _standard_input() -> bytes:
    from ..sources.pipes import standard_input

    try:
        return standard_input()
    except ImageError as error:
        raise ImageError(f"-: {error}") from None


def listed(name: str) -> Iterator[str]:
    """The paths in the list that --files-from names. Raises `InputError`."""
    from ..sources import open_list, read_list

    if name == "-":
        yield from read_list(sys.stdin.buffer)
        return
    with open_list(name) as file:
        yield from read_list(file)


def _description(model: Classifier) -> bytes:
    return json.dumps(model.config.to_json(), sort_keys=True).encode()


def _fingerprint(name: str, model: Classifier) -> str:
    """What tells two models apart: their files' bytes, and all that is known of them."""
    from .. import hub

    digest = sha256(_description(model))
    digest.update(hub.locate(name).path.read_bytes())
    return digest.hexdigest()[:16]
