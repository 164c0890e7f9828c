"""Files that are kept up to date: killed at every step, on full disks, changed by others, and a hundred thousand rows."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest
from nightly import BEGUN, ENDINGS, LABELS, ROWS, Folder, answer, expected, run, table

import lcnet
from lcnet.results import begun, update
from lcnet.results.known import Known
from lcnet.results.outputs import Output
from lcnet.results.rows import Classes
from lcnet.results.update import Update

pytestmark = pytest.mark.slow

FOLLOWING = [pytest.param(*ending.values, False, marks=ending.marks) for ending in ENDINGS]


def killed_at(step, path, sources, **options):
    """Run an update in a child that ends on the spot at its step-th access to the disk; whether it came that far."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    count, real = [0], begun.write_all

    def hook(event, _=None):
        if event in ("open", "os.rename", "os.remove", "os.truncate"):
            count[0] += 1
            if count[0] > step:
                os._exit(9)

    def write_all(file, data):
        hook("open")
        real(file, data[: len(data) // 2])  # killed in between, half of it is there
        hook("open")
        real(file, data[len(data) // 2 :])

    try:
        begun.write_all = write_all
        real_replace = os.replace
        Path.replace = lambda self, target: (hook("os.rename"), real_replace(self, target))[1]
        sys.addaudithook(hook)
        run(path, sources, **options)
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.parametrize(
    "ending, first", [*(pytest.param(*e.values, False, marks=e.marks) for e in ENDINGS), (".csv", True), (".npz", True)]
)
def test_killed_at_every_step_nothing_is_lost(tmp_path, ending, first):
    """At each access to the disk: FILE is what it was or what it becomes, and the next update makes it whole."""
    folder, path = Folder(tmp_path / "p"), tmp_path / "t" / f"x{ending}"
    path.parent.mkdir()
    for name, data in ((b"b.png", b"12"), (b"c.png", b"bad"), (b"d.png", b"34"), (b"gone.png", b"56")):
        folder.put(name, data)
    if not first:
        run(path, folder.sources())
    before = {p.name: p.read_bytes() for p in path.parent.iterdir()}
    old = table(path) if not first else None
    os.remove(tmp_path / "p" / "gone.png")
    for name, data in ((b"a.png", b"9"), (b"d.png", b"other"), (b"e.png", b"bad"), (b"c.png", b"now good")):
        folder.put(name, data)
    sources = folder.sources()
    whole = dict(expected(sources)) | ({} if first else {str(tmp_path / "p" / "gone.png"): [2.0, 0x3536]})
    steps = 0
    while True:
        for p in path.parent.iterdir():
            p.unlink()
        for name, data in before.items():
            (path.parent / name).write_bytes(data)
        os.utime(path) if path.exists() else None
        if not killed_at(steps, path, sources):
            break
        if path.exists():
            assert table(path) in (old, sorted(whole.items())), steps
        if steps % 3 == 0:
            killed_at(steps // 2, path, sources)  # and again
        run(path, sources)
        assert table(path) == sorted(whole.items()), steps
        assert {p.name for p in path.parent.iterdir()} - {path.name, f"{path.name}.state"} <= {
            p.name
            for p in path.parent.iterdir()
            if p.name.endswith(".tmp")  # of the killed one, swept after a minute
        }
        steps += 1
    assert table(path) == sorted(whole.items()) and steps > 20


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk_loses_nothing(tmp_path, ending, monkeypatch):
    folder, path = Folder(tmp_path / "p"), tmp_path / f"x{ending}"
    folder.put(b"b.png", b"1")
    run(path, folder.sources())
    before = path.read_bytes()
    for i in range(4):
        folder.put(b"a%d.png" % i, b"%d" % i)
    real, left = begun.write_all, [2]

    def full(file, data):
        left[0] -= len(data) < 1000 and b"lcnet" not in data
        real(file, data if left[0] >= 0 else data[: len(data) // 2])
        if left[0] < 0:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(begun, "write_all", full)
    with pytest.raises(lcnet.InputError, match="cannot be written: No space left"):
        run(path, folder.sources())
    assert path.read_bytes() == before
    monkeypatch.setattr(begun, "write_all", real)
    monkeypatch.setattr(update.whole, "publish", lambda *_: (_ for _ in ()).throw(lcnet.InputError("full at the end")))
    with pytest.raises(lcnet.InputError, match="full at the end"):
        run(path, folder.sources())
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert run(path, folder.sources()).done == 0 and table(path) == expected(folder.sources())


@pytest.mark.parametrize("ending", [".csv", ".npz"])
def test_two_at_a_time_are_refused_and_one_goes_on(tmp_path, ending):
    folder, path = Folder(tmp_path / "p"), tmp_path / f"x{ending}"
    for i in range(4):
        folder.put(b"%d.png" % i, b"%d" % i)

    def other(_):
        for make in (Update, lambda *a: Output(*a, overwrite=True), lambda *a: Output(*a, resume=True)):
            with pytest.raises(lcnet.InputError, match="by another process"):
                make(path, ROWS, BEGUN)

    run(path, folder.sources(), each=other)
    assert table(path) == expected(folder.sources())


@pytest.mark.parametrize("ending", ENDINGS)
def test_who_writes_to_the_file_meanwhile_is_not_overwritten(tmp_path, ending):
    folder, path = Folder(tmp_path / "p"), tmp_path / f"x{ending}"
    folder.put(b"1.png", b"1")
    run(path, folder.sources())
    folder.put(b"2.png", b"2")
    good = path.read_bytes()
    with pytest.raises(lcnet.InputError, match="changed by something else meanwhile"):
        run(path, folder.sources(), each=lambda _: path.write_bytes(b"mine"))
    assert path.read_bytes() == b"mine"
    path.write_bytes(good)
    again = run(path, folder.sources())
    assert again.done == 0
    assert table(path) == expected(folder.sources())


def test_rows_changed_and_taken_out_by_hand(tmp_path):
    folder, path = Folder(tmp_path / "p"), tmp_path / "x.csv"
    for i in range(3):
        folder.put(b"%d.png" % i, b"%d" % i)
    run(path, folder.sources())
    head, _, one, two = path.read_text().splitlines(keepends=True)
    by_hand = f"{tmp_path}/p/9.png,7,8,,\n"
    path.write_text(head + two + one.replace(",1,", ",5,", 1) + by_hand)
    again = run(path, folder.sources())
    assert again.known.taken == {"new": 1, "same": 2} and "something else has changed it" in again.remarks[0]
    found = dict(table(path))
    assert found[f"{tmp_path}/p/1.png"][0] == 5 and found[f"{tmp_path}/p/9.png"] == [7.0, 8.0] and len(found) == 4
    before = path.read_bytes()
    path.write_bytes(before.replace(b"\n", b"\r\n"))  # a spreadsheet has saved it
    with pytest.raises(lcnet.InputError, match="other columns than this run writes, it begins with file,"):
        run(path, folder.sources())
    path.write_bytes(before[: len(before) // 2] + b'"' + before[len(before) // 2 :])
    with pytest.raises(lcnet.InputError, match=r"cannot be read as lcnet wrote it\. Nothing is changed"):
        run(path, folder.sources())
    path.unlink()
    path.mkdir()
    with pytest.raises(lcnet.InputError, match="is a folder"):
        run(path, folder.sources())


@pytest.mark.alone
def test_a_hundred_thousand_rows_take_seconds_and_little_memory(tmp_path):
    import tracemalloc

    rows, path, number = Classes(LABELS, 3, 3), tmp_path / "x.csv", 100_000
    names = [f"/photos/of/a/usual/length/{i // 100}/IMG_{i}.jpg" for i in range(number)]
    cells = "{},1,0,n1,cat,0.5,true,,1.5\n{},2,1,n2,bird,0.25,false,,1.5\n{},3,2,n3,dog,0.125,false,,1.5\n"
    path.write_text(",".join(rows.header) + "\n" + "".join(cells.format(n, n, n) for n in names))
    (tmp_path / "a.png").write_bytes(b"1")
    top = tuple(lcnet.Prediction(i, LABELS.names[i], LABELS.ids[i], 0.5) for i in range(3))
    started = time.monotonic()
    with Update(path, rows, BEGUN) as output:
        for source in output.left(iter([tmp_path / "a.png", *names])):
            output.write(source, lcnet.Result(top, ()), None)
    spent = time.monotonic() - started
    assert output.done == 1 and output.gone == number and spent < 60, spent
    tracemalloc.start()
    with Update(path, rows, BEGUN) as output:
        assert list(output.left(iter([tmp_path / "a.png"]))) == []
    assert tracemalloc.get_traced_memory()[1] < 1000 * number
    tracemalloc.stop()


def test_threads_of_an_update(tmp_path):
    """As a stream does it: sources are taken by one thread, answers written by another."""
    folder, path = Folder(tmp_path / "p"), tmp_path / "x.csv"
    for i in range(300):
        folder.put(b"%d.png" % i, b"%d" % i)
    with Update(path, ROWS, BEGUN) as output:
        found = []
        reader = threading.Thread(target=lambda: found.extend(output.left(iter(folder.sources()))))
        reader.start()
        reader.join()
        for source in found:
            output.write(source, *answer(source))
    assert table(path) == expected(folder.sources())


def test_a_run_is_stopped_while_sources_are_still_looked_for(tmp_path):
    """The thread that finds them ends only at its next source that is wanted, or when it is told: none of that harms FILE."""
    folder, path = Folder(tmp_path / "p"), tmp_path / "x.csv"
    folder.put(b"1.png", b"1")
    output, seen = Update(path, ROWS, BEGUN), []

    def endless():
        yield from folder.sources()
        while True:
            seen.append(f"gone {len(seen)}.png")
            yield seen[-1]

    reader = threading.Thread(target=lambda: list(output.left(endless())), daemon=True)
    with pytest.raises(KeyboardInterrupt), output:
        reader.start()
        while len(seen) < 1000:
            time.sleep(0.001)
        output.write(folder.sources()[0], *answer(folder.sources()[0]))
        raise KeyboardInterrupt
    reader.join(20)
    assert not reader.is_alive() and table(path) == expected(folder.sources())


def test_killed_between_file_and_state_nobody_else_is_blamed(tmp_path, monkeypatch):
    folder, path = Folder(tmp_path / "p"), tmp_path / "x.csv"
    folder.put(b"1.png", b"1")
    run(path, folder.sources())
    folder.put(b"2.png", b"2")
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(update.state, "write", lambda *_: 1 / 0)
        run(path, folder.sources())
    assert table(path) == expected(folder.sources())
    again = run(path, folder.sources())
    assert again.done == 0 and not again.remarks and table(path) == expected(folder.sources())


def test_decisions_are_not_changed_by_answers_that_come_meanwhile():
    """The thread that finds the sources runs ahead of the one that writes: a name that comes twice is decided once."""
    known = Known()
    known.has("a", failed=True)
    assert known.wants("a", (1, 1), False) is True
    known.answered(0, "a", False, True, (1, 1))
    assert known.wants("a", (1, 1), False) is False
    known.answered(1, "a", False, False, (1, 1))
    assert known.pictures["a"].rows == 2 and known.since("a") == 0 and not known.stays("a")
