"""Shards of a list and what becomes of their parts: together they are the run of one machine, and nothing else is taken."""

import csv
import io
import json
import os
import re
import shutil
from hashlib import sha256
from itertools import chain

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import encoded, picture

import lcnet
from lcnet import InputError, hub
from lcnet.cli import bulk, main
from lcnet.results import merge, outputs, part, state
from lcnet.results.merge import merge as put_together
from lcnet.results.part import Part, Shard

MODEL = ("--model", "lcnet_050.cifar10", "--threads", "1")


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output + str(result.exception)
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Eleven pictures, one of them broken, with names by another hand."""
    folder = tmp_path_factory.mktemp("photos")
    for i, name in enumerate(["a", "b,c", "new\nline", 'quo"te', "=1+2", "ü", "[x]*", "broken", "h", "i", "j"]):
        (folder / f"{name}.png").write_bytes(b"broken" if name == "broken" else encoded(picture(seed=i), "PNG"))
    return folder


@pytest.fixture
def place(photos, tmp_path, monkeypatch):
    """A list of them, in an order of its own, in the folder where everything is written."""
    monkeypatch.chdir(tmp_path)
    names = sorted(map(str, photos.iterdir()), key=lambda name: sha256(name[-9:].encode()).digest())
    (tmp_path / "list").write_bytes(b"\0".join(name.encode() for name in names) + b"\0")
    return tmp_path


def parts_of(command, of, ending=".jsonl", source=("--files-from", "list"), options=(), name="part"):
    """Run all shards, whatever pictures are broken."""
    paths = []
    for i in range(of):
        path = f"{name}-{i}{ending}"
        CliRunner().invoke(main, [command, *MODEL, *source, *options, "--shard", f"{i}/{of}", "-o", path])
        paths.append(path)
    return paths


def rows_of(path):
    """What a file has but for the milliseconds, which no two runs share."""
    if str(path).endswith(".parquet"):
        parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow (extra: parquet) is not installed")
        table = parquet.read_table(path)
        return table.drop(["milliseconds"]).to_pylist(), table.schema
    with open(path, newline="", encoding="utf-8") as file:
        text = file.read()
    if str(path).endswith(".csv"):
        return [row[:-1] for row in csv.reader(io.StringIO(text))]
    return [re.sub(r', "milliseconds": [0-9.]+}$', "", line) for line in text.split("\n")]


def left(place):
    return {path.name: path.read_bytes() for path in place.iterdir()}


# Shards


def test_shards_share_the_rows_out():
    for total in range(12):
        for of in range(1, 9):
            shards = [Shard(i, of) for i in range(of)]
            taken = [list(shard.pick(range(total))) for shard in shards]
            assert sorted(chain(*taken)) == list(range(total))
            assert all(k % of == i for i, rows in enumerate(taken) for k in rows)
            assert [len(rows) for rows in taken] == [shard.rows(total) for shard in shards]


@pytest.mark.parametrize(
    "text", ["", "1", "3/3", "4/3", "-1/3", "0/0", "1/2/3", "a/b", "1 / 2", "0/1000001", "\u0660/\u0663", "0/3\n"]
)
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(InputError, match="is no shard: expected I/N"):
        Shard.parse(text)
    run("classify", "x.png", "--shard", text, "-o", "x.csv", code=2)


def test_a_shard_reads_as_it_is_written():
    assert Shard.parse("3/64") == Shard(3, 64) and str(Shard(3, 64)) == "3/64"


# Parts together are the whole


@pytest.mark.parametrize(
    ("command", "ending", "of", "options"),
    [
        ("classify", ".csv", 3, ("--top", 3)),
        ("classify", ".csv", 4, ("--wide", "--csv-safe")),
        ("classify", ".jsonl", 2, ()),
        ("classify", ".parquet", 3, ()),
        ("embed", ".parquet", 1, ()),
        ("embed", ".csv", 20, ()),  # more shards than pictures
        ("features", ".parquet", 5, ("--stride", 32)),
    ],
)
def test_the_parts_together_are_what_one_run_writes(place, command, ending, of, options):
    if ending == ".parquet":
        pytest.importorskip("pyarrow", reason="pyarrow (extra: parquet) is not installed")
    options = list(map(str, options))
    paths = parts_of(command, of, ending, options=options)
    assert f"all{ending}: 11 images of {of} part" in run("merge", *reversed(paths), "-o", f"all{ending}")
    run(command, *MODEL, "--files-from", "list", *options, "-o", f"one{ending}", code=1)
    assert rows_of(f"all{ending}") == rows_of(f"one{ending}")
    again = run(command, *MODEL, "--files-from", "list", *options, "-o", f"all{ending}", "--update", code=1)
    assert "10 as they were" in again and "1 tried again" in again  # a file like any other


def test_folders_are_lists_too(place, photos):
    paths = parts_of("classify", 3, source=(str(photos),))
    run("merge", *paths, "-o", "all.jsonl")
    run("classify", *MODEL, photos, "-o", "one.jsonl", code=1)
    assert rows_of("all.jsonl") == rows_of("one.jsonl")


def test_a_part_says_what_it_is_of(place):
    pytest.importorskip("pyarrow", reason="pyarrow (extra: parquet) is not installed")
    for ending in (".parquet", ".csv"):
        found = part.read(place / parts_of("classify", 2, ending)[1])
        assert found.shard == (1, 2) and found.total == 11 and found.lines == 5
        assert found.made_with["list"] == f"sha256 {sha256((place / 'list').read_bytes()).hexdigest()}"
        file = hub.locate("lcnet_050.cifar10").path
        assert found.made_with["model"] == f"sha256 {sha256(file.read_bytes()).hexdigest()}"
        config = json.dumps(lcnet.load("lcnet_050.cifar10", threads=1).config.to_json(), sort_keys=True)
        assert found.made_with["model's description"] == f"sha256 {sha256(config.encode()).hexdigest()}"
        assert found.made_with["arithmetic"].endswith(", lcnet 0.1.0") and " fp32," in found.made_with["arithmetic"]


def test_rows_of_a_list_are_pictures(place, photos):
    """So that row k is the same wherever it is taken: a folder or an archive in it is one row, which says so."""
    shutil.make_archive("some", "zip", photos)
    (place / "list").write_text(f"{photos}\nsome.zip\n{photos}/a.png\n")
    run("merge", *parts_of("classify", 2), "-o", "all.jsonl")
    rows = [json.loads(line) for line in (place / "all.jsonl").read_text().splitlines()]
    assert [bool(row["error"]) for row in rows] == [True, True, False] and "archive" in rows[1]["error"]


# What is no part of it


def refused(place, words, paths, target="all.jsonl"):
    before = left(place)
    assert re.search(words, run("merge", *paths, "-o", target, code=4)), words
    assert left(place) == before


def test_missing_doubled_and_foreign_parts_are_refused_by_name(place, photos):
    paths = parts_of("classify", 4)
    refused(place, "missing: shard 1/4, 3/4: run them first", [paths[0], paths[2]])
    refused(place, "missing: shard 0/4: run it first", paths[1:])
    shutil.copy("part-1.jsonl", "copy.jsonl")
    shutil.copy("part-1.jsonl.state", "copy.jsonl.state")
    refused(place, "part-1.jsonl and copy.jsonl are both shard 1/4", [*paths, "copy.jsonl"])
    refused(place, "part-1.jsonl and part-1.jsonl are both", [*paths, paths[1]])
    two = parts_of("classify", 2, name="two")
    refused(place, r"two-0.jsonl is no part of the same: its number of shards is 2, that of part-0.jsonl 4", [paths[0], two[0]])
    top = parts_of("classify", 4, name="top", options=["--top", "2"])
    refused(place, "top-1.jsonl is no part of the same: its --top is 2, that of part-0.jsonl 5", [paths[0], top[1], *paths[2:]])
    embedded = parts_of("embed", 4, name="embedded")
    refused(place, "embedded-1.jsonl is no part of the same: its command is embed", [paths[0], embedded[1]])
    other = parts_of("classify", 4, name="other", options=["--isa", "scalar"])
    refused(place, r"other-1.jsonl .*its arithmetic is scalar fp32, .*--isa of all parts", [paths[0], other[1]])
    file = shutil.copy(hub.locate("lcnet_050.cifar10").path, "model.safetensors")
    same = parts_of("classify", 4, name="same", options=["--model", file])
    run("merge", same[0], *paths[1:], "-o", "all.jsonl")  # the same file by another name
    (place / "all.jsonl").unlink()
    data = bytearray((place / file).read_bytes())
    data[-1] ^= 1
    (place / file).write_bytes(data)
    model = parts_of("classify", 4, name="model", options=["--model", file])
    refused(place, "model-1.jsonl is no part of the same: its model is sha256", [paths[0], model[1]])
    names = (place / "list").read_bytes().split(b"\0")
    (place / "list").write_bytes(b"\0".join([names[1], names[0], *names[2:]]))  # as many, in another order
    listed = parts_of("classify", 4, name="listed")
    refused(place, "listed-1.jsonl is no part of the same: its list is sha256", [paths[0], listed[1]])


def test_what_is_no_part_is_refused(place, photos):
    paths = parts_of("classify", 2)
    run("classify", *MODEL, "--files-from", "list", "-o", "one.jsonl", code=1)
    refused(place, "one.jsonl does not say what it is a part of, for there is no one.jsonl.state beside it", ["one.jsonl"])
    refused(place, "gone.jsonl: there is no such file", ["gone.jsonl", *paths])
    refused(place, "x.npz: a part goes to a file that ends in .parquet, .jsonl or .csv", ["x.npz"])
    refused(place, "all.npz: a part goes to", paths, "all.npz")
    refused(place, "parts and all.csv are of one format", paths, "all.csv")
    refused(place, "one.jsonl exists", paths, "one.jsonl")
    assert "source itself" in run("merge", *paths, "-o", paths[0], "--overwrite", code=4)
    (place / "one.jsonl.state").write_text('{"lcnet": 2, "with": {"shard": "0/2", "total": "x"}, "file": [1, 2]}\n')
    refused(place, "one.jsonl does not say what it is a part of: make it with --shard", ["one.jsonl"])
    (place / "part-0.jsonl.resume").touch()
    refused(place, "part-0.jsonl is of a run that is going on or did not end: end it with --resume", paths)


@pytest.mark.parametrize("ending", [".jsonl", ".csv"])
def test_a_damaged_part_is_named_and_nothing_is_written(place, ending):
    paths = parts_of("classify", 3, ending)
    whole = (place / paths[1]).read_bytes()
    middle = whole.find(b"\n", len(whole) // 2) + 1
    for bad in (whole[: len(whole) // 2], whole[:middle], whole + whole[middle:], whole[:-1], b""):
        (place / paths[1]).write_bytes(bad)
        refused(place, "part-1.* is damaged, or has other rows", paths, f"all{ending}")


def test_a_damaged_part_in_parquet_is_named(place):
    pytest.importorskip("pyarrow", reason="pyarrow (extra: parquet) is not installed")
    import pyarrow.parquet as parquet

    paths = parts_of("embed", 2, ".parquet")
    table = parquet.read_table(paths[1])
    whole = (place / paths[1]).read_bytes()
    parquet.write_table(table.slice(1), paths[1])
    refused(place, "part-1.parquet is damaged, or has other rows than its shard", paths, "all.parquet")
    for bad in (whole[: len(whole) // 2], b""):
        (place / paths[1]).write_bytes(bad)
        refused(place, "part-1.parquet does not say what it is a part of", paths, "all.parquet")
    (place / paths[1]).write_bytes(whole[:4] + bytes(2000) + whole[2004:])
    refused(place, "part-1.parquet is damaged, or has other rows than its shard", paths, "all.parquet")


# Going on


def test_a_part_that_was_stopped_goes_on_and_has_every_picture_once(place, monkeypatch):
    for ending in (".jsonl", ".csv"):
        write, done = outputs.Output.write, []

        def stops(self, *answer, write=write, done=done):
            if len(done) == 3:
                raise RuntimeError("killed")
            done.append(answer)
            write(self, *answer)

        monkeypatch.setattr(outputs.Output, "write", stops)
        CliRunner().invoke(main, ["classify", *MODEL, "--files-from", "list", "--shard", "0/2", "-o", f"part-0{ending}"])
        monkeypatch.setattr(outputs.Output, "write", write)
        assert (place / f"part-0{ending}.resume").exists()
        resume = ["classify", *MODEL, "--files-from", "list", "-o", f"part-0{ending}", "--resume", "--shard"]
        assert 'begun with --shard "0/2", now it is "1/2"' in run(*resume, "1/2", code=4)
        CliRunner().invoke(main, [*resume, "0/2"])
        run("merge", f"part-0{ending}", parts_of("classify", 2, ending)[1], "-o", f"all{ending}")
        run("classify", *MODEL, "--files-from", "list", "-o", f"one{ending}", code=1)
        assert rows_of(f"all{ending}") == rows_of(f"one{ending}")


def test_a_part_that_is_complete_is_done_again_at_once_and_only_by_its_own_shard(place):
    """What a cluster does with a job that it believes has failed."""
    path = parts_of("classify", 2)[0]
    before, again = left(place), ["classify", *MODEL, "--files-from", "list", "-o", path, "--resume"]
    assert "part-0.jsonl: shard 0/2 is complete" in run(*again, "--shard", "0/2")
    assert 'begun with --shard "0/2", now it is "1/2"' in run(*again, "--shard", "1/2", code=4)
    assert "with --top 5, now it is 4" in run(*again, "--shard", "0/2", "--top", "4", code=4)
    assert "exists" in run(*again[:-1], "--shard", "0/2", code=4)
    assert "is complete" in run(*again, code=4)  # without --shard it is a file like any other
    assert left(place) == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "name its file with --output"),
        (("-o", "-"), "name its file with --output"),
        (("-o", "p.npz"), "a part goes to a file that ends in"),
        (("-o", "p.json"), "a part goes to a file that ends in"),
        (("-o", "p.csv", "--update"), "--update goes by names"),
        (("-o", "p.csv", "--frames", "all"), "leave --frames out"),
        (("-o", "p.csv", "a.png"), "rows of one list"),
    ],
)
def test_what_a_shard_cannot_be_asked_with(place, options, said):
    result = CliRunner().invoke(main, ["classify", *MODEL, "--files-from", "list", "--shard", "0/2", *options])
    assert result.exit_code in (2, 4) and said in result.output


def test_a_list_is_read_twice(place):
    for source in (("--files-from", "-"), ("-",)):
        result = CliRunner().invoke(main, ["classify", *MODEL, *source, "--shard", "0/2", "-o", "p.csv"])
        assert result.exit_code in (2, 4) and "name a file instead of -" in result.output
    (place / "empty").touch()
    for name, said in (("empty", "the list has no pictures"), ("gone", "there is no such file")):
        result = CliRunner().invoke(main, ["classify", *MODEL, "--files-from", name, "--shard", "0/2", "-o", "p.csv"])
        assert result.exit_code == 4 and said in result.output


def test_a_list_that_changes_meanwhile_is_no_list_of_shards(place, photos):
    """Of a pipe the second reading has nothing, which is not a shard without pictures."""
    reader, writer = os.pipe()
    os.write(writer, (place / "list").read_bytes())
    os.close(writer)
    name = f"/dev/fd/{reader}"
    if not os.path.exists(name):
        pytest.skip("this system has no names for pipes")
    said = run("classify", *MODEL, "--files-from", name, "--shard", "0/2", "-o", "p.csv", code=4)
    os.close(reader)
    assert f"name a file instead of {name}" in said and not (place / "p.csv").exists()


@pytest.mark.parametrize("source", ["list", "folder"])
def test_what_changes_while_a_shard_runs_is_told_and_no_part(place, photos, monkeypatch, source):
    shutil.copytree(photos, place / "folder")

    def surveyed(given):
        found = real(given)
        (place / "folder" / "zz.png").touch()
        with open("list", "ab") as file:
            file.write(b"zz.png\0")
        return found

    real = bulk.surveyed
    monkeypatch.setattr(bulk, "surveyed", surveyed)
    given = ("--files-from", "list") if source == "list" else ("folder",)
    assert "changed while this shard ran" in run("classify", *MODEL, *given, "--shard", "0/2", "-o", "p.csv", code=4)
    assert "did not end" in run("merge", "p.csv", "-o", "all.csv", code=4)


@pytest.mark.parametrize("ending", [".jsonl", ".csv"])
def test_the_rows_of_another_part_are_no_part(place, ending):
    """As many rows as it should have, of the shard beside it: pictures would be missing, and others doubled."""
    paths = parts_of("classify", 11, ending)
    shutil.copyfile(place / paths[3], place / paths[4])
    refused(place, "part-4.* is damaged, or has other rows", paths, f"all{ending}")


def test_a_merged_file_is_no_part_whatever_stood_there(place):
    paths = parts_of("classify", 2, ".csv")
    for ending in ("", ".state"):
        shutil.copyfile(place / f"{paths[0]}{ending}", place / f"all.csv{ending}")
    (place / "all.csv.resume").touch()
    assert "all.csv is of a run that is going on" in run("merge", *paths, "-o", "all.csv", "--overwrite", code=4)
    (place / "all.csv.resume").unlink()
    run("merge", *paths, "-o", "all.csv", "--overwrite")
    assert not (place / "all.csv.state").exists()


# However many


def test_more_parts_than_files_may_be_open(tmp_path):
    resource = pytest.importorskip("resource", reason="this system has no such bound")
    paths = []
    header = "file,rank,index,id,label,probability,accepted,error,milliseconds\n"
    for i in range(120):
        path = tmp_path / f"{i}.csv"
        path.write_text(header + f"{i}.png,,,,,,,broken,1\n")
        state.write(path, Part(Shard(i, 120), 120, 5, {}).of_file(path), ())
        paths.append(path)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, before[1]))
    try:
        assert put_together(paths, tmp_path / "all.csv").rows == 120
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_memory_does_not_grow_with_the_rows(tmp_path, monkeypatch):
    pa = pytest.importorskip("pyarrow", reason="pyarrow (extra: parquet) is not installed")
    import pyarrow.parquet as parquet

    width, of, rows = 1024, 3, 3000
    monkeypatch.setattr(merge, "HELD", 1 << 20)
    column, noise = pa.list_(pa.float32(), width), np.random.default_rng(0).random((250, width), np.float32)
    paths = [tmp_path / f"{i}.parquet" for i in range(of)]
    for i, path in enumerate(paths):
        schema = pa.schema([("file", pa.string()), ("x", column), ("error", pa.string())])
        schema = schema.with_metadata(Part(Shard(i, of), of * rows, 1, {}).about)
        with parquet.ParquetWriter(path, schema) as writer:
            for start in range(0, rows, 250):
                arrays = pa.FixedSizeListArray.from_arrays(pa.array((noise + start).ravel()), width)
                names = pa.array([str(n * of + i) for n in range(start, start + 250)])
                writer.write_table(pa.table([names, arrays, pa.nulls(250, pa.string())], schema=schema))
    before, pool = pa.total_allocated_bytes(), pa.default_memory_pool()
    seen = [0]
    put_together(paths, tmp_path / "all.parquet", tick=lambda _: seen.append(max(seen[-1], pool.bytes_allocated() - before)))
    assert seen[-1] < 12 << 20 < 20 << 20 < sum(path.stat().st_size for path in paths)
    names = parquet.read_table(tmp_path / "all.parquet", columns=["file"])["file"].to_pylist()
    assert names == [str(n) for n in range(of * rows)]
