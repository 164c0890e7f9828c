"""`lcnet gallery`: what is printed, which files come of it, and the exit codes."""

import csv
import io
import json
import os
import re
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner
from labelled import png
from made import MODEL

import lcnet
import lcnet.gallery
from lcnet.cli import main


def run(*arguments, code=0, **options):
    result = CliRunner().invoke(main, ["gallery", *map(str, arguments)], **options)
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Pictures in two folders, one of them damaged, some in an archive; and a gallery of all."""
    top = tmp_path_factory.mktemp("world")
    for i in range(6):
        path = top / ("a" if i % 2 else "b") / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png(i))
    (top / "a" / "copy.png").write_bytes(png(1))
    (top / "b" / "bad.png").write_bytes(b"nothing")
    with zipfile.ZipFile(top / "z.zip", "w") as archive:
        archive.writestr("in.png", png(50))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(top)
        done = run("build", "g.gallery", "a", "b", "z.zip", "-m", MODEL, "--threads", 1, code=1)
    assert done.stdout.startswith("g.gallery: 8 new")  # a copy's bytes are known if the first was quick enough
    assert re.search(r"^lcnet: b/bad.png: it is not a picture .*\nlcnet: 1 of 9 images could not be read$", done.stderr, re.M)
    return top


@pytest.fixture(autouse=True)
def here(world, monkeypatch):
    monkeypatch.chdir(world)


def found(*arguments, **options):
    return json.loads(run("search", "g.gallery", *arguments, "-f", "json", **options).stdout)["results"]


def test_one_image_has_one_list_and_several_have_one_each(world):
    one = found("a/1.png", "-k", 3)
    assert [row["path"] for row in one[:2]] == ["a/1.png", "a/copy.png"] and len(one) == 3
    assert all(set(row) == {"path", "similarity"} for row in one) and one[0]["similarity"] == one[1]["similarity"] > 0.999
    several = found("a/1.png", "b/0.png", "-k", 3)
    assert several[0] == {"query": "a/1.png", "results": one} and several[1]["query"] == "b/0.png"
    folder = found("a/?.png", "-k", 1)
    assert [row["query"] for row in folder] == ["a/1.png", "a/3.png", "a/5.png"]
    assert found("z.zip")[0]["query"] == "z.zip!/in.png"  # one picture, of what may have several
    assert found("z.zip")[0]["results"][0]["path"] == "z.zip!/in.png"


def test_similarities_are_the_cosines_of_the_embeddings(world):
    paths = [row["path"] for row in found("a/3.png", "-k", 9) if "!" not in row["path"]]
    vectors = lcnet.load(MODEL).embeddings(paths)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = dict(zip(paths, units @ units[paths.index("a/3.png")], strict=True))
    for row in found("a/3.png", "-k", 9):
        assert row["path"] not in expected or abs(row["similarity"] - expected[row["path"]]) < 1e-3


def test_the_options_of_a_search(world):
    assert [row["path"] for row in found("a/1.png", "-k", 9, "--exclude-self")][:1] not in (["a/1.png"], ["a/copy.png"])
    assert len(found("a/1.png", "-k", 9, "--exclude-self")) == 6
    assert {row["path"] for row in found("a/1.png", "--where", "b")} == {"b/0.png", "b/2.png", "b/4.png"}
    assert {row["path"] for row in found("a/1.png", "--where", "*/[45].png")} == {"b/4.png", "a/5.png"}
    assert [row["path"] for row in found("a/1.png", "--min-similarity", 0.9999)] == ["a/1.png", "a/copy.png"]
    assert found("a/1.png", "-k", 3, "--exact") == found("a/1.png", "-k", 3)
    together = found("a/1.png", "b/0.png", "--together", "-k", 2)
    assert {row["path"] for row in found("a/1.png", "b/0.png", "--together", "-k", 3)} >= {"a/1.png", "b/0.png"}
    assert set(together[0]) == {"path", "similarity"}


def test_pictures_are_listed_by_path(world):
    assert found("--where", "a") == [{"path": f"a/{n}.png", "similarity": None} for n in (1, 3, 5, "copy")]
    assert run("search", "g.gallery", "--where", "z.zip").stdout == "z.zip!/in.png\n"
    assert found("--where", "nothing") == []


def test_tables_and_csv(world):
    lines = run("search", "g.gallery", "a/1.png", "-k", 2).stdout.splitlines()
    assert [line.split() for line in lines] == [["1.0000", "a/1.png"], ["1.0000", "a/copy.png"]]
    lines = run("search", "g.gallery", "a/1.png", "b/0.png", "-k", 1).stdout.splitlines()
    assert lines == ["a/1.png:", "  1.0000  a/1.png", "b/0.png:", "  1.0000  b/0.png"]
    rows = list(csv.DictReader(io.StringIO(run("search", "g.gallery", "a/1.png", "b/0.png", "-k", 2, "-f", "csv").stdout)))
    assert [(r["query"], r["rank"]) for r in rows] == [(q, k) for q in ("a/1.png", "b/0.png") for k in "12"]


def test_an_image_that_cannot_be_read_is_told_and_the_others_are_searched(world):
    done = run("search", "g.gallery", "b", "-k", 1, "-f", "json", code=1)
    assert [row["query"] for row in json.loads(done.stdout)["results"]] == ["b/0.png", "b/2.png", "b/4.png"]
    assert done.stderr.startswith("lcnet: b/bad.png: ") and done.stderr.count("\n") == 1
    done = run("search", "g.gallery", "b/bad.png", "-f", "json", code=1)
    assert json.loads(done.stdout) == {"results": []}


def test_the_page_of_thumbnails(world, tmp_path):
    page = tmp_path / "page.html"
    done = run("search", "g.gallery", "a/1.png", "z.zip", "-k", 4, "--html", page)
    text = page.read_text(encoding="utf-8")
    assert text.count("<section") == 2 and text.count("data:image/jpeg;base64,") == 10 and "similarity 1.0000" in text
    assert "http" not in re.sub("<meta[^>]*>", "", text) and "<script" not in text and "cannot" not in text
    assert done.stderr == f"lcnet: {page} written\n"
    assert "exists" in run("search", "g.gallery", "a/1.png", "--html", page, code=4).stderr
    run("search", "g.gallery", "a/1.png", "--html", page, "--overwrite")
    assert page.read_text(encoding="utf-8").count("<section") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["search", "g.gallery"], "name IMAGES to search by"),
        (["search", "g.gallery", "--where", "a", "--exact"], "--exact is about a search by images"),
        (["search", "g.gallery", "a", "--exclude-self", "--together"], "choose one"),
        (["search", "g.gallery", "a", "--overwrite"], "--overwrite is about --html"),
        (["search", "g.gallery", "a", "--csv-safe"], "--csv-safe is about CSV"),
        (["search", "g.gallery", "a", "-k", "0"], "'--top'"),
        (["search", "g.gallery", "a", "--min-similarity", "1.1"], "'--min-similarity'"),
        (["build", "new.gallery"], "name IMAGES"),
        (["remove", "g.gallery"], "one of both"),
        (["remove", "g.gallery", "a", "--missing"], "one of both"),
        (["serch"], "did you mean 'search'"),
        (["export", "g.gallery"], "--output"),
    ],
)
def test_what_cannot_be_meant_is_usage(world, arguments, words):
    assert words in run(*arguments, code=2).stderr
    assert not os.path.exists("new.gallery")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["build", "g.gallery", "a"], "g.gallery exists: `lcnet gallery add`"),
        (["build", "no/g.gallery", "a"], "there is no folder no"),
        (["build", "new.gallery", "a", "-m", "lcnet_999"], "lcnet_999"),
        (["build", "new.gallery", "a", "-m", "none.safetensors"], "none.safetensors"),
        (["add", "g.gallery", "."], "in folders below: --recursive takes them too"),
        (["remove", "g.gallery", "a", "c"], "c: the gallery g.gallery has no such picture"),
        (["search", "z.zip", "a/1.png"], "z.zip is no gallery"),
        (["export", "g.gallery", "-o", "x.txt"], "expected .npy, .parquet, .csv"),
        (["export", "g.gallery", "-o", "g.gallery.npy/x.npy"], "there is no folder"),
    ],
)
def test_what_cannot_be_done_is_one_line(world, arguments, words):
    done = run(*arguments, code=4)
    assert words in done.stderr and done.stderr.count("\n") == 1 and not os.path.exists("new.gallery")


def test_a_gallery_of_nothing_is_empty(tmp_path):
    done = run("build", tmp_path / "new.gallery", "nothing*", "-m", MODEL, code=1)
    assert "nothing*: no file matches this pattern" in done.stderr and done.stdout.endswith("nothing new\n")
    assert json.loads(run("search", tmp_path / "new.gallery", "a/1.png", "-f", "json").stdout) == {"results": []}


def test_add_says_what_it_did_and_remove_takes_out(world, tmp_path):
    path = tmp_path / "p.gallery"
    assert run("build", path, "a", "-m", MODEL, "--coding", "fp16").stdout.startswith(f"{path}: 4 new")
    assert run("add", path, "a").stdout == f"{path}: 4 as they were\n"
    assert run("add", path, "b/0.png", "a").stdout == f"{path}: 1 new, 4 as they were\n"
    done = run("remove", path, "a/*.png", "--dry-run")
    assert done.stdout.splitlines() == [f"{world}/a/{n}.png" for n in (1, 3, 5, "copy")]
    assert "4 pictures would be taken out, 5 in it" in done.stderr
    assert "4 pictures taken out, 1 in it" in run("remove", path, "a").stderr
    facts = json.loads(run("info", path, "-f", "json").stdout)
    assert facts["pictures"] == 1 and facts["coding"] == "fp16" and facts["model"] == MODEL
    assert "1,280" in run("info", path).stdout and run("info", path, "-f", "csv").stdout.startswith("path,pictures,")
    assert run("build", path, "a/1.png", "-m", MODEL, "--overwrite").stdout == f"{path}: 1 new\n"


def test_another_model_is_refused(world, tmp_path):
    from weights import write_angles

    write_angles(tmp_path / "angles.safetensors")
    text = run("search", "g.gallery", "a/1.png", "-m", tmp_path / "angles.safetensors", code=4).stderr
    assert f"embeddings of the model {MODEL} (sha256" in text and "angles.safetensors" in text and text.count("\n") == 1


def test_exported_embeddings(world, tmp_path):
    names = [row["path"] for row in found("--where", "*")]
    assert run("export", "g.gallery", "-o", tmp_path / "v.npy").stdout == f"{tmp_path / 'v.npy'}: 8 pictures\n"
    vectors = np.load(tmp_path / "v.npy")
    assert vectors.dtype == np.float32 and vectors.shape == (8, 1280)
    assert json.loads((tmp_path / "v.paths.json").read_text()) == names
    expected = lcnet.load(MODEL).embeddings([name for name in names if "!" not in name])
    assert np.abs(vectors[: len(expected)] - expected).max() < np.abs(expected).max() / 127
    run("export", "g.gallery", "-o", tmp_path / "v.csv")
    rows = list(csv.reader((tmp_path / "v.csv").open(newline="")))
    assert rows[0][:7] == ["path", "sha256", "pixels", "hash", "size", "mtime_ns", "embedding_0"]
    assert np.array_equal(np.array([row[6:] for row in rows[1:]], np.float32), vectors) and [r[0] for r in rows[1:]] == names
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow (extra: parquet) is not installed")
    run("export", "g.gallery", "-o", tmp_path / "v.parquet")
    table = parquet.read_table(tmp_path / "v.parquet")
    assert table["path"].to_pylist() == names and np.array_equal(np.array(table["embedding"].to_pylist(), np.float32), vectors)
    assert "exists" in run("export", "g.gallery", "-o", tmp_path / "v.npy", code=4).stderr
    run("export", "g.gallery", "-o", tmp_path / "v.npy", "--overwrite")


def test_ctrl_c_keeps_what_is_done(world, tmp_path, monkeypatch):
    from lcnet.cli.progress import Progress

    seen = []

    def advance(self):
        seen.append(1)
        if len(seen) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "advance", advance)
    path = tmp_path / "p.gallery"
    done = run("build", path, "a", "-m", MODEL, "--threads", 1, code=130)
    assert done.stderr == f"lcnet: stopped after 2 pictures; {path} holds them, and `lcnet gallery add` goes on\n"
    with lcnet.gallery.open(path) as gallery:
        assert len(gallery) == 2


def test_no_command_named_is_help(world):
    done = CliRunner().invoke(main, ["gallery"])
    assert done.exit_code in (0, 2) and "\n  search " in done.output and "\\n" not in done.output
