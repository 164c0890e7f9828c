"""What docs/gallery.md says to type works, line by line and in order; so does its Python."""

import json
import re
import shlex
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from labelled import jpeg
from made import MODEL

from lcnet.cli import main

PAGE = (Path(__file__).parents[2] / "docs/gallery.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.S | re.M)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for i, name in enumerate(("cat.jpg", "photos/a.jpg", "photos/b.jpg", "new/c.jpg", "new/d.jpg")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(jpeg(i))
    (tmp_path / "new/copy.jpg").write_bytes(jpeg(1))
    with zipfile.ZipFile(tmp_path / "album.zip", "w") as archive:
        archive.writestr("e.jpg", jpeg(9))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_its_commands_and_its_python_run(folder, capsys):
    said = {}
    for line in "".join(blocks("sh")).splitlines():
        words = shlex.split(line.replace("-m lcnet_050", f"-m {MODEL}"), comments=True)
        done = CliRunner().invoke(main, words[1:])
        assert done.exit_code == 0, (line, done.output)
        said[line.split("#")[0].strip()] = done.stdout
    assert said["lcnet duplicates new/ --against photos.gallery"].count("photos/a.jpg") == 1
    several = json.loads(said["lcnet gallery search photos.gallery 'new/*.jpg' --format json"])["results"]
    assert [row["query"] for row in several] == ["new/c.jpg", "new/copy.jpg", "new/d.jpg"]
    assert several[1]["results"][0]["path"] == "photos/a.jpg"
    assert (folder / "alike.html").is_file() and (folder / "vectors.paths.json").is_file()
    for block in blocks("python"):
        exec(block, {})
    assert capsys.readouterr().out.count("photos/") == 2


def test_what_it_says_of_the_file_is_so(folder):
    import sqlite3

    CliRunner().invoke(main, ["gallery", "build", "g", "photos", "-m", MODEL])
    connection = sqlite3.connect("g")
    assert connection.execute("PRAGMA application_id").fetchone() == (0x6C635F67,) and "0x6C635F67" in PAGE
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    for table in ("about", "content", "picture"):
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        names = [row[0] for row in connection.execute("SELECT name FROM about")] if table == "about" else []
        text = next(line for line in PAGE.splitlines() if line.startswith(f"| `{table}`"))
        assert all(f"`{name}`" in text for name in [*columns, *names]), (table, columns, names)
    connection.close()
