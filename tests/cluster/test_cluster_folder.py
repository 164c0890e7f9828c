"""What a run on Ray does without Ray: actors' tables, the folder with its list and state, and what the commands refuse."""

import json
import os

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import encoded, picture

import lcnet
import lcnet.cluster
from lcnet.cli import main
from lcnet.errors import InputError, ModelFileError

pa = pytest.importorskip("pyarrow", reason="pyarrow (extra: parquet) is not installed")
import pyarrow.parquet as parquet

from lcnet.cluster.answers import Answers, columns, digest_of
from lcnet.cluster.folder import Folder
from lcnet.results.job import rows_for
from lcnet.sources import find

MODEL = "lcnet_050.cifar10"
ENGINE = {"threads": 1}
WITH = {"model": "sha256 x", "kind": "classify"}


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(5):
        (folder / f"{i}.png").write_bytes(b"broken" if i == 3 else encoded(picture(seed=i), "PNG"))
    return folder


def table(paths, first=10):
    return pa.table({"id": pa.array(range(first, first + len(paths)), pa.int64()), "path": pa.array(paths, pa.binary())})


@pytest.mark.parametrize(
    ("kind", "asked"), [("classify", {"top_k": 3}), ("embeddings", {}), ("feature_maps", {"out_indices": [-1, 0]})]
)
def test_a_table_of_paths_becomes_one_of_what_one_run_writes(photos, tmp_path, kind, asked):
    actor = Answers(MODEL, digest_of(MODEL), kind, asked, ENGINE)
    paths = [*map(os.fsencode, sorted(photos.iterdir())), b"gone\xff\n.png"]
    found = actor(table(paths))
    command = {"classify": "classify", "embeddings": "embed", "feature_maps": "features"}[kind]
    options = ["--top", "3"] if kind == "classify" else ["--stride", "2", "--stride", "32"] if "out_indices" in asked else []
    (tmp_path / "list").write_bytes(b"\0".join(paths) + b"\0")
    one = [command, "-m", MODEL, "--threads", "1", "--files-from", tmp_path / "list", "-o", tmp_path / "one.parquet", *options]
    assert CliRunner().invoke(main, list(map(str, one))).exit_code == 1
    expected = parquet.read_table(tmp_path / "one.parquet").drop(["milliseconds"])
    assert found["id"].to_pylist() == list(range(10, 16)) and found.column_names[0] == "id"
    same = found.drop(["id", "milliseconds"]).select(expected.column_names)
    assert same.to_pylist() == expected.to_pylist() and all(ms >= 0 for ms in found["milliseconds"].to_pylist())
    assert found.schema.equals(columns(rows_for(actor.model, kind, 3, asked.get("out_indices"))), check_metadata=True)


def test_a_table_without_a_good_row_has_the_same_columns():
    for kind in ("classify", "embeddings"):
        actor = Answers(MODEL, digest_of(MODEL), kind, {}, ENGINE)
        found = actor(table([b"gone.png", None]))
        assert found.schema.equals(columns(actor.rows)) and actor(table([])).num_rows == 0
        assert found["error"].to_pylist() == ["there is no such file: check the path", "there is no path in this row"]


def test_another_file_under_the_models_name_is_refused():
    with pytest.raises(ModelFileError, match=f"{MODEL} on .* is another file .* than the run began with .*: put the same"):
        Answers(MODEL, "0" * 64, "classify", {}, ENGINE)


# The folder


def test_a_list_is_numbered_rows_in_files_of_a_block(photos, tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(photos / "0.png", "in.png")
    folder = Folder(tmp_path / "out")
    sources = find([photos, tmp_path / "all.zip", tmp_path / "none*.png", "memory://b/a.png"])
    assert folder.begin(sources, WITH, 3) == 8
    files = sorted(folder.list.iterdir())
    rows = parquet.read_table(folder.list)
    assert [parquet.read_metadata(file).num_rows for file in files] == [3, 3, 2] and rows["id"].to_pylist() == list(range(8))
    assert rows["path"].to_pylist()[:5] == [os.fsencode(photos / f"{i}.png") for i in range(5)]
    assert "extract it" in rows["problem"].to_pylist()[5] and "no file matches" in rows["problem"].to_pylist()[6]
    assert rows["problem"].to_pylist()[7] is None and rows["path"].to_pylist()[7] == b"memory://b/a.png"


def test_a_folder_goes_on_with_its_own_run_only(photos, tmp_path):
    Folder(tmp_path / "out").begin(find([photos]), WITH, 3)
    with pytest.raises(InputError, match="exists"):
        Folder(tmp_path / "out")
    assert not Folder(tmp_path / "out", resume=True).done
    assert Folder(tmp_path / "out", resume=True).begin(find([photos]), WITH, 3) == 5
    for other, sources in (({**WITH, "kind": "x"}, [photos]), (WITH, [photos / "1.png"])):
        with pytest.raises(InputError, match="was begun with"):
            Folder(tmp_path / "out", resume=True).begin(find(sources), other, 3)
    ended = Folder(tmp_path / "out", resume=True)
    ended.begin(find([photos]), WITH, 3)
    ended.end()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["_lcnet.json"]
    assert Folder(tmp_path / "out", resume=True).done and not Folder(tmp_path / "out", overwrite=True).done
    with pytest.raises(InputError, match="two things"):
        Folder(tmp_path / "out", resume=True, overwrite=True)


def test_what_is_not_ours_is_not_overwritten_and_what_is_damaged_is_told(photos, tmp_path):
    for path, said in ((photos, "it has 0.png"), (photos / "0.png", "it is no folder")):
        for options in ({"overwrite": True}, {"resume": True}):
            with pytest.raises(InputError, match=said):
                Folder(path, **options)
    out = tmp_path / "out"
    out.mkdir()
    for text, said in (("{", "is damaged"), ("[]", "is damaged"), (json.dumps({"lcnet": 99}), "by another version")):
        (out / "_lcnet.json").write_text(text)
        with pytest.raises(InputError, match=said):
            Folder(out, resume=True)
    (out / "_lcnet.json").unlink()
    (out / "_list").mkdir()  # killed while it wrote the list
    assert Folder(out, resume=True).begin(find([photos]), WITH, 3) == 5


def test_answers_and_errors_are_counted_by_what_files_say(photos, tmp_path):
    folder = Folder(tmp_path / "out")
    folder.begin(find([photos]), WITH, 3)
    actor = Answers(MODEL, digest_of(MODEL), "classify", {}, ENGINE)
    for i, paths in enumerate(([b"gone.png"], list(map(os.fsencode, sorted(photos.iterdir()))))):
        parquet.write_table(actor(table(paths)), folder.path / f"{i}.parquet")
    assert folder.counted() == (6, 2)


# The commands


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "name it with --output"),
        (("-o", "x.csv"), "a folder of Parquet files"),
        (("-o", "x", "--shard", "0/2"), "--shard does not go with --ray"),
        (("-o", "x", "--update"), "--update does not go with --ray"),
        (("-o", "x", "--format", "csv"), "--format does not go with --ray"),
        (("-o", "x", "--frames", "all"), "leave --frames out"),
        (("-o", "x", "-"), "standard input"),
        (("-o", "x", "a.zip"), "archives are not sent"),
    ],
)
def test_what_does_not_go_with_ray(options, said):
    for way in (("--ray",), ("--ray-address", "auto")):
        result = CliRunner().invoke(main, ["classify", "a.png", *way, *options])
        assert result.exit_code == 2 and said in result.output, result.output
    result = CliRunner().invoke(main, ["embed", "a.png", "--ray"])
    assert result.exit_code == 2 and "name it with --output" in result.output
    assert np.all(np.isfinite(lcnet.load(MODEL).embeddings(picture())))


@pytest.mark.parametrize("name", ["actors", "threads", "block"])
@pytest.mark.parametrize("value", [0, -1, True, 1.5])
def test_what_is_no_count_is_refused_before_anything_is_begun(tmp_path, name, value):
    with pytest.raises(InputError, match=f"{name} is {value!r}, expected a whole number of at least 1"):
        lcnet.cluster.run(["a.png"], "lcnet_050.cifar10", tmp_path / "out", **{name: value})
    assert not (tmp_path / "out").exists()
