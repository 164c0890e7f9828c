"""Files that are kept up to date, against a model of what they must hold."""

import csv
import json
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from nightly import BEGUN, ENDINGS, LABELS, ROWS, Folder, answer, expected, run, table

import lcnet
from lcnet.results import state
from lcnet.results.outputs import Output
from lcnet.results.rows import Arrays, Classes, Wide
from lcnet.results.update import Update
from lcnet.sources import find
from lcnet.sources.found import problem

pytestmark = pytest.mark.slow


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


def test_a_state_is_text_that_can_be_read(tmp_path):
    folder, path = Folder(tmp_path / "p"), tmp_path / "x.csv"
    folder.put(b"caf\xe9\n.png", b"12345")
    run(path, folder.sources())
    head, line = [json.loads(line) for line in (tmp_path / "x.csv.state").read_text("utf-8").splitlines()]
    stamp = folder.sources()[0].stat()
    assert head["with"] == BEGUN and line == [f"{tmp_path}/p/caf\\xe9\n.png", 5, stamp.st_mtime_ns]
    assert state.read(path).as_left


@pytest.mark.parametrize("ending", [".json", ".jsonl"])
def test_answers_of_groups_are_members_too(tmp_path, ending):
    (tmp_path / "a.png").write_bytes(b"1")
    top = tuple(lcnet.Prediction(i, LABELS.names[i], LABELS.ids[i], 0.5) for i in (0, 1))
    path = tmp_path / f"x{ending}"
    for night in range(2):
        with Update(path, Classes(LABELS, 3, 2), BEGUN) as output:
            for source in output.left(iter([tmp_path / "a.png"])):
                output.write(source, lcnet.Result(top, (), (("animal", "cat"),)), None)
        assert output.done == (1 if night == 0 else 0)
    (row,) = json.loads(path.read_text()) if ending == ".json" else [json.loads(path.read_text())]
    assert row["answers"] == {"animal": "cat"} and row["error"] is None
