"""Damaged files for everything that reads files: each must be refused in lcnet's own words, or give a valid result.

    python tests/fuzz/fuzz.py --count 2000 --seed 0 [--target NAME]
    python tests/fuzz/fuzz.py --target NAME --seed 0 --case 17 [--keep FILE]     # one case again, with its traceback

A case is (target, seed, number), and the same bytes wherever it is run with the same versions of the libraries that make
the undamaged files. Cases run in a process of their own, so that one that crashes or hangs is a finding too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import sys
import time
import traceback
import warnings
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in (".", "fuzz", "convert")]

from mutators import mutated  # noqa: E402
from targets import TARGETS, Target  # noqa: E402

SECONDS = 20.0  # of one case, on a machine that is busy; most take milliseconds
MEMORY = 1 << 29  # bytes that one case may take beyond what there was


class Finding(NamedTuple):
    """What should not have happened, and the command that makes it happen again."""

    target: str
    seed: int
    number: int
    what: str

    def __str__(self) -> str:
        return f"{self.what}\n    python tests/fuzz/fuzz.py --target {self.target} --seed {self.seed} --case {self.number}"


@cache
def seeds_of(target: Target) -> tuple[bytes, ...]:
    """The undamaged files, which are made once."""
    return tuple(target.seeds())


def case(target: Target, seed: int, number: int) -> bytes:
    """The bytes of a case; number 0 to len(seeds)-1 are the undamaged files themselves."""
    seeds = seeds_of(target)
    if number < len(seeds):
        return target.wrap(seeds[number])
    return target.wrap(mutated(random.Random(f"{target.name}/{seed}/{number}"), seeds, target.words))


def outcome(target: Target, data: bytes, folder: Path) -> BaseException | None:
    """Read the file; what lcnet raises on purpose is no outcome."""
    path = folder / f"case{target.suffix}"
    path.write_bytes(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what a library has to say of a file goes into the error, not to the terminal
            warnings.simplefilter("ignore", DeprecationWarning)
            target.read(path)
    except target.allowed as error:
        return None if str(error).strip() else error
    except BaseException as error:  # a finding, whatever it is
        return error
    return None


def check(target: Target, seed: int, number: int, folder: Path) -> Finding | None:
    """Run one case."""
    data, before, began = case(target, seed, number), _peak(), time.monotonic()
    error = outcome(target, data, folder)
    spent, grown = time.monotonic() - began, _peak() - before
    what = ""
    if error is not None:
        what = f"{type(error).__name__}: {str(error)[:300]}"
    elif spent > SECONDS:
        what = f"it took {spent:.1f} s"
    elif grown > MEMORY:
        what = f"it took {grown >> 20} MiB"
    return Finding(target.name, seed, number, what) if what else None


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10  # which never falls: a case that grows it was the largest


def _work(target: Target, seed: int, first: int, count: int, place: Any, found: Any) -> None:
    with TemporaryDirectory(prefix="lcnet-fuzz-") as folder:
        for number in range(first, count):
            place.value = number
            if finding := check(target, seed, number, Path(folder)):
                found.send(finding)
    found.send(None)


def run(target: Target, seed: int, count: int) -> list[Finding]:
    """All cases of a target, in a process that is begun again behind one that ends or hangs it."""
    seeds_of(target)
    context, findings, first = multiprocessing.get_context("fork"), [], 0
    while first < count:
        place, (here, there) = context.Value("q", first), context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(target, seed, first, count, place, there))
        process.start()
        there.close()
        ended = _collect(here, place, findings)
        if ended:
            process.join()
            break
        process.kill()
        process.join()
        findings.append(Finding(target.name, seed, place.value, "the process ended, or this took too long"))
        first = place.value + 1
    return findings


def _collect(here: Any, place: Any, findings: list[Finding]) -> bool:
    """Take findings as they come; false if the process has ended before its time, or one case takes too long."""
    at, since = -1, time.monotonic()
    while True:
        if place.value != at:
            at, since = place.value, time.monotonic()
        try:
            if here.poll(0.2):
                finding = here.recv()
                if finding is None:
                    return True
                findings.append(finding)
        except EOFError:
            return False
        if time.monotonic() - since > 2 * SECONDS:
            return False


def again(target: Target, seed: int, number: int, keep: Path | None) -> int:
    """Run one case here, and print what it came to."""
    data = case(target, seed, number)
    if keep:
        keep.write_bytes(data)
    with TemporaryDirectory(prefix="lcnet-fuzz-") as folder:
        error = outcome(target, data, Path(folder))
    if error is not None:
        traceback.print_exception(error)
    return int(error is not None)


def main() -> int:
    """Run all targets, or what the options name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=[t.name for t in TARGETS])
    parser.add_argument("--case", type=int)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    chosen = [t for t in TARGETS if given.target in (None, t.name)]
    if given.case is not None:
        return again(chosen[0], given.seed, given.case, given.keep)
    findings = []
    for target in chosen:
        began = time.monotonic()
        found = run(target, given.seed, given.count)
        print(f"{target.name:<24} {given.count} cases  {time.monotonic() - began:6.1f} s  {len(found)} findings", flush=True)
        for finding in found:
            print(f"  {finding}", flush=True)
        findings += found
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
