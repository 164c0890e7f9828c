"""Files that are kept up to date: against a model of what they must hold, killed at every step, by two at a time."""

import csv
import json
import os
import random
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

import lcnet
from lcnet.config import Labels
from lcnet.results import begun, outputs, state, update
from lcnet.results.known import Known
from lcnet.results.outputs import Output
from lcnet.results.rows import Arrays, Classes, Wide
from lcnet.results.update import Update
from lcnet.sources import find
from lcnet.sources.found import problem
from lcnet.text import shown

pytestmark = pytest.mark.slow

ENDINGS = outputs.FORMATS
ROWS = Arrays({"embeddings": (2,)})
LABELS = Labels(("cat", "dog, \n big", "bird"), ("n1", "n2", "n3"))
BEGUN = {"command": "test", "model": "m"}


@pytest.fixture(autouse=True)
def parquet_where_there_is_pyarrow(request):
    if "ending" in request.fixturenames and request.getfixturevalue("ending") == ".parquet":
        pytest.importorskip("pyarrow", reason="pyarrow (extra: parquet) is not installed")


def answer(source):
    """What stands for a network: values that tell the content, or an error."""
    try:
        data = source.open().read() if hasattr(source, "open") and not isinstance(source, Path) else Path(source).read_bytes()
    except lcnet.ImageError as error:
        return None, error
    except OSError:
        return None, lcnet.ImageError(f"{source}: there is no such file")
    if data.startswith(b"bad"):
        return None, lcnet.ImageError(f"{source}: it is\nbroken")
    return np.array([len(data), int.from_bytes(data[:2], "big")], np.float32), None


def run(path, sources, rows=ROWS, begun_with=BEGUN, stop=None, each=None, **options):
    """One update; returns it. stop: raise this after the first answer."""
    with Update(path, rows, begun_with, **options) as output:
        for source in output.left(iter(sources)):
            value, error = answer(source)
            output.write(source, value, error, 0.5)
            if each:
                each(source)
            if stop:
                raise stop
    return output


def table(path, rows=ROWS):
    """What a file holds, by public readers: name to list of values, or the error."""
    ending, found = path.suffix, []
    if ending == ".csv":
        with open(path, newline="", encoding="utf-8") as file:
            found = [(r[0], r[-2] or [float(v) for v in r[1:-2]]) for r in list(csv.reader(file))[1:]]
    elif ending in (".json", ".jsonl"):
        text = path.read_text("utf-8")
        members = json.loads(text) if ending == ".json" else [json.loads(line) for line in text.split("\n")[:-1]]
        found = [(m["file"], m["error"] or m["embeddings"]) for m in members]
    elif ending == ".npz":
        saved = np.load(path)
        assert len(saved["milliseconds"]) == len(saved["paths"]) == len(saved["embeddings"])
        found = list(zip(saved["paths"].tolist(), saved["embeddings"].tolist(), strict=True))
        found += list(zip(saved["error_paths"].tolist(), saved["errors"].tolist(), strict=True))
    else:
        import pyarrow.parquet

        found = [(r["file"], r["error"] or r["embeddings"]) for r in pyarrow.parquet.read_table(path).to_pylist()]
    return sorted((name, value if isinstance(value, str) else list(map(float, value))) for name, value in found)


def expected(sources):
    found = []
    for source in sources:
        value, error = answer(source)
        found.append((shown(source), "it is\\nbroken" if error else value.tolist()))
    return sorted(found)


class Folder:
    """Pictures that come, go and change, by chance."""

    def __init__(self, path, seed=0):
        self.path, self.chance, self.clock = path, random.Random(seed), 10**18
        path.mkdir()

    def put(self, name, data):
        """Every change has another time, and not always a later one: clocks go backwards."""
        target = os.path.join(os.fsencode(self.path), name)
        with open(target, "wb") as file:
            file.write(data)
        self.clock += self.chance.choice([-(10**12), 1, 10**9])
        os.utime(target, ns=(self.clock, self.clock))

    def change(self):
        names = [b"%02d.png" % i for i in range(8)] + [b'a\n,".png', b"caf\xe9.png", b"=1.png"]
        for name in self.chance.sample(names, 4):
            target = os.path.join(os.fsencode(self.path), name)
            if os.path.exists(target) and self.chance.random() < 0.4:
                os.remove(target)
            else:
                self.put(name, self.chance.choice([b"bad", b"%c%c" % (self.chance.randrange(256), 7), b"\1\2longer"]))

    def sources(self):
        return list(find(str(self.path)))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("prune", [False, True])
def test_night_after_night_a_file_has_what_the_folder_has(tmp_path, ending, prune):
    folder, path, kept = Folder(tmp_path / "p", seed=len(ending) + prune), tmp_path / f"x{ending}", {}
    for night in range(25):
        folder.change()
        sources = folder.sources()
        if folder.chance.random() < 0.3:
            with pytest.raises(KeyboardInterrupt):
                run(path, sources, prune=prune, stop=KeyboardInterrupt)
                raise KeyboardInterrupt
            table(path)
        run(path, sources, prune=prune)
        now = dict(expected(sources))
        good = any(isinstance(v, list) for v in now.values())
        kept = now if prune and good else {**kept, **now}
        assert dict(table(path)) == kept and len(table(path)) == len(kept), night
        assert sorted(os.listdir(tmp_path)) == ["p", f"x{ending}", f"x{ending}.state"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_new_touches_nothing(tmp_path, ending):
    folder, path = Folder(tmp_path / "p"), tmp_path / f"x{ending}"
    for i in range(3):
        folder.put(b"%d.png" % i, b"%d" % i)
    run(path, folder.sources())
    before = {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in tmp_path.glob("x*")}
    again = run(path, reversed(folder.sources()), prune=True)
    assert again.done == 0 and again.known.taken == {"same": 3}
    assert {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in tmp_path.glob("x*")} == before


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


@pytest.mark.parametrize("ending, first", [*((e, False) for e in ENDINGS), (".csv", True), (".npz", True)])
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
def test_an_update_goes_on_with_a_run_that_did_not_end(tmp_path, ending):
    folder, path = Folder(tmp_path / "p"), tmp_path / f"x{ending}"
    for i in range(5):
        folder.put(b"%d.png" % i, b"bad" if i == 1 else b"%d" % i)
    output = Output(path, ROWS, BEGUN)
    for source in folder.sources()[:3]:
        output.write(source, *answer(source))
    output.file.close()
    output.lock.close()  # as if killed, in the middle of a picture
    with open(output.working, "ab") as file:
        file.write(output.working.read_bytes()[-30:-9] if ending not in (".csv", ".jsonl") else b"1.pn")
    folder.put(b"00.png", b"sorts earlier")
    taken = []
    run(path, folder.sources(), each=lambda source: taken.append(Path(source).name))
    assert taken == ["00.png", "1.png", "3.png", "4.png"]
    assert table(path) == expected(folder.sources())
    assert sorted(os.listdir(tmp_path)) == ["p", path.name, f"{path.name}.state"]


@pytest.mark.parametrize("ending", [".npz", ".json"])
def test_what_an_unfinished_run_was_to_replace_is_not_mixed_in(tmp_path, ending):
    folder, path = Folder(tmp_path / "p"), tmp_path / f"x{ending}"
    path.write_bytes(b"of another model")
    folder.put(b"a.png", b"1")
    output = Output(path, ROWS, BEGUN, overwrite=True)
    output.file.close()
    output.lock.close()
    run(path, folder.sources())
    assert table(path) == expected(folder.sources())


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_of_a_plain_run_is_taken_by_names_and_that_is_said(tmp_path, ending):
    folder, path = Folder(tmp_path / "p"), tmp_path / f"x{ending}"
    for i in range(3):
        folder.put(b"%d.png" % i, b"%d" % i)
    with Output(path, ROWS, BEGUN) as output:
        for source in folder.sources():
            output.write(source, *answer(source))
    before = path.read_bytes()
    first = run(path, folder.sources())
    assert first.done == 0 and "no list of sizes and times" in " ".join(first.remarks) and path.read_bytes() == before
    folder.put(b"1.png", b"another")
    second = run(path, folder.sources())
    assert second.done == 1 and not second.remarks and table(path) == expected(folder.sources())
    Path(f"{path}.state").write_bytes(b'{"lcnet": 2, "with": {}}\nnonsense')
    assert run(path, folder.sources()).done == 0
    Path(f"{path}.state").unlink()
    assert "no list of sizes" in " ".join(run(path, folder.sources()).remarks)


@pytest.mark.parametrize("ending", ENDINGS)
def test_another_model_other_options_and_other_columns_are_refused(tmp_path, ending):
    folder, path = Folder(tmp_path / "p"), tmp_path / f"x{ending}"
    folder.put(b"a.png", b"1")
    run(path, folder.sources())
    before = {p.name: p.read_bytes() for p in tmp_path.glob("x*")}
    for rows, with_, words in (
        (ROWS, {**BEGUN, "model": "other"}, 'begun with model "m", now it is "other"'),
        (ROWS, {**BEGUN, "--threshold": 0.5}, "begun with --threshold null, now it is 0.5"),
    ):
        with pytest.raises(lcnet.InputError, match=words):
            Update(path, rows, with_)
        assert {p.name: p.read_bytes() for p in tmp_path.glob("x*")} == before
    run(path, folder.sources(), begun_with={**BEGUN, "--option-of-a-later-version": False})
    assert {p.name: p.read_bytes() for p in tmp_path.glob("x*")} == before
    path.with_name(f"{path.name}.state").unlink()
    for rows in (Arrays({"embeddings": (3,)}), Classes(LABELS, 3, 2)):
        with pytest.raises(lcnet.InputError, match=r"other columns|cannot be read as lcnet wrote it"):
            Update(path, rows, BEGUN)
    assert path.read_bytes() == before[path.name] and sorted(os.listdir(tmp_path)) == ["p", path.name]


def test_files_of_the_version_before_are_refused_in_clear_words(tmp_path):
    (tmp_path / "x.csv").write_text("file,embeddings_0,embeddings_1,error\na.png,1,2,\n")
    (tmp_path / "x.jsonl").write_text('{"file": "a.png", "embeddings": [1, 2], "error": null}\n')
    np.savez(tmp_path / "x.npz", paths=["a"], embeddings=np.zeros((1, 2), "f4"), error_paths=["b"], errors=["c"])
    for name in ("x.csv", "x.npz"):
        with pytest.raises(lcnet.InputError, match="earlier version of lcnet, whose rows have no milliseconds"):
            Update(tmp_path / name, ROWS, BEGUN)
    for name in ("x.csv", "x.npz", "x.jsonl"):
        Path(tmp_path / f"{name}.resume").write_text(json.dumps(BEGUN))
        for kind, options in ((Output, {"resume": True}), (Update, {})):
            with pytest.raises(lcnet.InputError, match="earlier version of lcnet, whose rows have no milliseconds"):
                kind(tmp_path / name, ROWS, BEGUN, **options)


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
    assert again.done == 0 and "something else has changed it" in again.remarks[0]
    assert table(path) == expected(folder.sources())


def test_rows_changed_and_taken_out_by_hand(tmp_path):
    folder, path = Folder(tmp_path / "p"), tmp_path / "x.csv"
    for i in range(3):
        folder.put(b"%d.png" % i, b"%d" % i)
    run(path, folder.sources())
    head, _, one, two = path.read_text().splitlines(keepends=True)
    by_hand = f"{tmp_path}/p/9.png,7,8,,\n"
    path.write_text(head + two + one.replace(",1,", ",5,", 1) + by_hand)
    assert run(path, folder.sources()).known.taken == {"new": 1, "same": 2}
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


def test_permissions_stay(tmp_path):
    folder, path = Folder(tmp_path / "p"), tmp_path / "x.csv"
    folder.put(b"1.png", b"1")
    run(path, folder.sources())
    path.chmod(0o640)
    folder.put(b"2.png", b"2")
    run(path, folder.sources())
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("ending", [".csv", ".npz"])
def test_members_have_the_time_of_their_archive(tmp_path, ending):
    path, taken = tmp_path / f"x{ending}", []
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("m.png", b"12")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:  # which may have a name twice
        for data in ("twice.png", "twice.png", "once.png"):
            (tmp_path / data).write_bytes(b"%d" % len(archive.getnames()))
            archive.add(tmp_path / data, data)

    def sources():
        return list(find([str(tmp_path / "a.zip"), str(tmp_path / "a.tar")]))

    def night():
        taken.clear()
        run(path, sources(), each=lambda source: taken.append(str(source).rpartition("/")[2]))
        assert table(path) == expected(sources())
        return taken

    assert night() == ["m.png", "twice.png", "twice.png", "once.png"]
    assert night() == []
    os.utime(tmp_path / "a.tar", (5, 5))
    assert night() == ["twice.png", "twice.png", "once.png"]
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("n.png", b"34")
    assert night() == ["m.png", "n.png"]


def test_what_cannot_be_looked_for_is_not_pruned(tmp_path):
    folder, path = Folder(tmp_path / "p"), tmp_path / "x.csv"
    for i in range(3):
        folder.put(b"%d.png" % i, b"%d" % i)
    run(path, folder.sources())
    sources = folder.sources()
    for some, words in (
        ([], "no picture was found"),
        ([tmp_path / "typo.png"], "no picture was found"),
        ([sources[0], problem("share", "it cannot be read", hides=True)], "could not be looked into"),
    ):
        remark = " ".join(run(path, some, prune=True).remarks)
        assert words in remark and {str(s) for s in sources} <= {name for name, _ in table(path)}
    run(path, sources[:1], prune=True)
    assert [name for name, _ in table(path)] == [str(sources[0])]


def test_a_picture_that_is_named_and_gone_keeps_its_row(tmp_path):
    folder, path = Folder(tmp_path / "p"), tmp_path / "x.csv"
    folder.put(b"1.png", b"1")
    folder.put(b"2.png", b"2")
    sources = folder.sources()
    run(path, sources)
    before = path.read_bytes()
    os.remove(sources[0])
    gone = run(path, sources)
    assert (gone.done, gone.failed, gone.gone) == (0, 0, 1) and path.read_bytes() == before
    assert run(path, sources, prune=True).failed == 1 and dict(table(path))[str(sources[0])] == "there is no such file"
    folder.put(b"1.png", b"1")
    assert run(path, sources).failed == 0 and table(path) == expected(sources)


@pytest.mark.parametrize("kind", [Classes, Wide])
def test_classes_in_rows_of_csv(tmp_path, kind):
    rows, path = kind(LABELS, 3, 2), tmp_path / "x.csv"

    def night(names):
        with Update(path, rows, BEGUN, safe=True) as output:
            for source in output.left(iter(names)):
                n = len(source) % 3
                top = tuple(lcnet.Prediction(i % 3, LABELS.names[i % 3], LABELS.ids[i % 3], 0.5) for i in (n, n + 1))
                output.write(source, lcnet.Result(top, top[:1]), None)
        return output.done

    names = [str(tmp_path / n) for n in ("=a.png", "bb\n.png", "c.png")]
    for name in names:
        Path(name).write_bytes(b"x")
    os.chdir(tmp_path)
    assert night(names[1:]) == 2 and night([*names, "=a.png"]) == 2 and night([*names, "=a.png"]) == 0
    with open(path, newline="") as file:
        found = list(csv.DictReader(file))
    per = 1 if kind is Wide else 2
    assert [r["file"] for r in found][::per] == [names[1], names[2], names[0], "'=a.png"]
    assert len(found) == 4 * per and all(r["milliseconds"] for r in found)


def test_decisions_are_not_changed_by_answers_that_come_meanwhile():
    """The thread that finds the sources runs ahead of the one that writes: a name that comes twice is decided once."""
    known = Known()
    known.has("a", failed=True)
    assert known.wants("a", (1, 1), False) is True
    known.answered(0, "a", False, True, (1, 1))
    assert known.wants("a", (1, 1), False) is False
    known.answered(1, "a", False, False, (1, 1))
    assert known.pictures["a"].rows == 2 and known.since("a") == 0 and not known.stays("a")


def test_a_state_is_text_that_can_be_read(tmp_path):
    folder, path = Folder(tmp_path / "p"), tmp_path / "x.csv"
    folder.put(b"caf\xe9\n.png", b"12345")
    run(path, folder.sources())
    head, line = [json.loads(line) for line in (tmp_path / "x.csv.state").read_text("utf-8").splitlines()]
    stamp = folder.sources()[0].stat()
    assert head["with"] == BEGUN and line == [f"{tmp_path}/p/caf\\xe9\n.png", 5, stamp.st_mtime_ns]
    assert state.read(path).as_left


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
