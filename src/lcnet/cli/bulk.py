"""What `classify`, `embed` and `features` do with any number of pictures: find, skip what is done, run, write, sum up."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from itertools import chain, islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import click

from ..errors import ImageError, InputError
from ..sources import count_below, find, find_listed
from ..sources.found import Found
from ..sources.passed import Passed, counted
from ..stop import code
from ..text import plain, reason
from .advice import advised
from .codes import INCOMPLETE, Misuse
from .options import load_model, say
from .progress import Progress
from .streams import on_terminal

if TYPE_CHECKING:
    from ..results.rows import Rows
    from ..runtime import Classifier
    from ..runtime.stream import Streamed

TOLD = 10  # unreadable pictures that are told one by one when a file of results names them all
# Options that change no result, or that the file of results does not depend on: the pictures are compared one by one.
FREE = frozenset("images recursive files_from threads output resume overwrite style timing isa model".split())


class Bulk:
    """One run of a command over the pictures that its options name."""

    def __init__(self, ctx: click.Context, kind: str, **options: Any) -> None:
        """Find the first picture and load the model. kind and options: as `Classifier.answer` takes them."""
        self.ctx, self.kind, self.options = ctx, kind, options
        given = ctx.params
        if not given["images"] and given["files_from"] is None:
            raise Misuse("name IMAGES (files, folders, patterns, archives), or a list of them with --files-from")
        self.look = 0 if given["files_from"] == "-" else 2  # how far to look ahead: standard input may be slow
        self.passed, self.several = Passed(), 0  # what was not taken; how many files have frames beside the first
        found = _settle(self._found(), self.look)
        self.model: Classifier = load_model(given)
        self.sources: Any = self.model.expand(found, given["frames"])
        self.done, self.failed, self.lock = 0, 0, Lock()

    def _found(self) -> Iterator[Any]:
        given = self.ctx.params
        limits = {"recursive": given["recursive"], "max_member": given["max_member"] << 20, "passed": self.passed}
        found = iter(find(_with_input(given), **limits))
        if given["files_from"] is not None:
            found = chain(found, find_listed(_listed(given["files_from"]), **limits))
        first = next(found, None)
        if first is None:
            raise InputError(
                "no images: the folders, lists or archives given hold no file with a known image suffix"
                + "".join(f"; {text}" for text in self._untaken())
            )
        return chain([first], found)

    def count(self) -> int | None:
        """How many pictures there are, or None if that takes too long to find out."""
        from ..sources import count

        given = self.ctx.params
        if given["files_from"] == "-" or given["frames"] != "first":
            return None
        known = count(given["images"], given["recursive"])
        listed = count(_listed(given["files_from"]), given["recursive"]) if given["files_from"] is not None else 0
        return None if known is None or listed is None else known + listed

    def show(self, each: Callable[[Streamed], None], end: Callable[[], None]) -> None:
        """Call `each` for every picture that could be read, in order, and `end` at the end, however it comes."""
        progress = Progress(sys.stderr, self.count, draw=not on_terminal(sys.stdout))
        try:
            for item in self._stream(self.sources, progress):
                if item.error is None:
                    each(item)
        except KeyboardInterrupt as stopped:
            self._stopped(progress, stopped)
        finally:
            end()
        self._finish(progress)

    def write(self, path: Path, rows: Rows, resume: bool, overwrite: bool) -> None:
        """Write every picture to a file of results."""
        from ..results.outputs import Output

        progress = Progress(sys.stderr, self.count)
        sources, output = iter(self.sources), None
        try:
            safe = bool(self.ctx.params.get("csv_safe"))
            with Output(path, rows, self._begun_with(), resume, overwrite, safe) as output:
                self.done = progress.first = progress.done = output.skip_done(sources)
                self.failed = output.failed
                left = chain(output.ahead, sources)
                for item in self._stream(_settle(left, self.look), progress):
                    output.write(item.source, item.value, item.error)
        except KeyboardInterrupt as stopped:
            self.done = output.done if output else 0
            self._stopped(progress, stopped, f"; {plain(path)} holds them, and the same command with --resume goes on")
        progress.clear()
        say(f"{plain(path)}: {self.done - self.failed} images")
        self._finish(progress)

    def _stream(self, sources: Iterable[Any], progress: Progress) -> Iterator[Streamed]:
        """Yield the results, and report and count them."""
        from ..runtime.stream import stream

        told = TOLD if self.ctx.params["output"] is not None else sys.maxsize
        answer = self.model.answer(self.kind, **self.options)
        prepare = partial(self.model.preprocess, seen=self._see)
        with closing(stream(sources, prepare, answer, errors="yield", workers=self.model.threads)) as items:
            for item in items:
                if item.error is not None:
                    self.failed += 1
                    if self.failed <= told:
                        progress.say(advised(item.error))
                yield item
                self.done += 1
                progress.advance()

    def _see(self, image: Any) -> None:
        """Count files of several frames; called by several threads."""
        from ..image.frames import has_several

        if self.ctx.params["frames"] == "first" and has_several(image):
            with self.lock:
                self.several += 1

    def _untaken(self) -> Iterator[str]:
        """What was not taken, a sentence each."""
        if text := self.passed.text():
            yield text
        below, all_counted = count_below(self.passed.unopened)
        if below:
            least = "" if all_counted else "at least "
            yield f"{least}{counted(below, 'picture')} in folders below: --recursive takes them too"
        if self.several:
            yield f"{counted(self.several, 'file')} with several frames, of which the first was taken: --frames all takes all"

    def _begun_with(self) -> dict[str, Any]:
        given = self.ctx.params
        name = f"{given['model']} (sha256 {_fingerprint(given['model'], self.model)})"
        free = {"command": self.ctx.info_name, "model": name, "isa": self.model.isa}
        return {**free, **{f"--{k.replace('_', '-')}": v for k, v in given.items() if k not in FREE}}

    def _stopped(self, progress: Progress, by: KeyboardInterrupt, kept: str = "") -> None:
        progress.say(f"stopped after {self.done} images{kept if self.done else ''}")
        self.ctx.exit(code(by))

    def _finish(self, progress: Progress) -> None:
        progress.clear()
        for text in self._untaken():
            progress.say(text)
        if self.failed:
            progress.say(f"{self.failed} of {self.done} images could not be read")
            self.ctx.exit(INCOMPLETE)


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


def _settle(sources: Iterator[Any], look: int) -> Any:
    """The sources, as a list if there are fewer than `look`: for one picture no thread is started."""
    first = list(islice(sources, look))
    return first if len(first) < look else chain(first, sources)


def _listed(name: str) -> Iterator[str]:
    from ..sources import read_list

    if name == "-":
        yield from read_list(sys.stdin.buffer)
        return
    try:
        with open(name, "rb") as file:
            yield from read_list(file)
    except OSError as error:
        raise InputError(f"--files-from {name}: {reason(error)}") from None


def _fingerprint(name: str, model: Classifier) -> str:
    """What tells two models apart: their files' bytes, and all that is known of them."""
    from hashlib import sha256

    from .. import hub

    digest = sha256(json.dumps(model.config.to_json(), sort_keys=True).encode())
    digest.update(hub.locate(name).path.read_bytes())
    return digest.hexdigest()[:16]
