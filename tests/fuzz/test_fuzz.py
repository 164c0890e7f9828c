"""A few cases of every target of `make fuzz`, and that a finding would be one."""

import os
import random
import signal
import time

import fuzz
import pytest
from mutators import MUTATORS, mutated
from targets import TARGETS, Target

pytestmark = pytest.mark.slow

CASES = 25  # a target, undamaged ones included


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_damaged_files_are_refused_in_our_own_words(target, tmp_path):
    if target.name.startswith("torch"):
        pytest.importorskip("torch", reason="torch (extra: train) is not installed")
    found = [fuzz.check(target, 0, number, tmp_path) for number in range(CASES)]
    assert not [str(finding) for finding in found if finding]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_undamaged_files_are_read(target, tmp_path):
    """Else a target tests a refusal only."""
    if target.name.startswith("torch"):
        pytest.importorskip("torch", reason="torch (extra: train) is not installed")
    if target.name in ("data-zip", "data-tar", "tar", "timm-config", "labels"):
        pytest.skip("some of its seeds are of another kind")
    path = tmp_path / f"case{target.suffix}"
    for data in fuzz.seeds_of(target):
        path.write_bytes(target.wrap(data))
        target.read(path)


def test_a_case_is_the_same_every_time():
    for target in TARGETS[:6]:
        assert fuzz.case(target, 3, 50) == fuzz.case(target, 3, 50) != fuzz.case(target, 4, 50)


def test_every_mutator_changes_something_and_takes_anything():
    for mutator in MUTATORS:
        rng = random.Random(1)
        assert any(mutator(rng, b"one 1\ntwo 2\n", (b"seed",), (b"one",)) != b"one 1\ntwo 2\n" for _ in range(50))
        for data in (b"", b"\n", b"x"):
            assert isinstance(mutator(rng, data, (b"", b"seed"), ()), bytes)
    assert len({mutated(random.Random(i), [b"seed" * 99], [b"word"]) for i in range(100)}) > 80


def raising(path):
    data = path.read_bytes()
    if data == b"crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if data == b"hang":
        time.sleep(60)
    if data == b"bug":
        raise LookupError("a bug")
    if data == b"refused":
        raise ValueError("no")


def test_bugs_crashes_and_hangs_are_findings(monkeypatch):
    monkeypatch.setattr(fuzz, "SECONDS", 0.5)
    seeds = (b"fine", b"bug", b"refused", b"crash", b"fine", b"hang", b"fine")
    found = fuzz.run(Target("t", ".x", lambda: seeds, raising, (ValueError,)), 0, len(seeds))
    assert [finding.number for finding in found] == [1, 3, 5]
    assert str(found[0]) == "LookupError: a bug\n    python tests/fuzz/fuzz.py --target t --seed 0 --case 1"
