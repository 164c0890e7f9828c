"""What README.md and docs/first-steps.md tell a newcomer to type works, line by line and in order, with few small pictures.

The bundled model stands in for those that the hub has. `pip` and `make` are other tests' matter.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from weights import write_angles

ROOT = Path(__file__).parents[1]
CLASSES = ("airplane", "bird", "cat", "deer", "dog", "frog", "horse", "ship")
BUNDLED = "lcnet_050.cifar10"
REPORT = "upright-20261128-101500.jsonl"  # which the pages show, as it was at that second
PAGES = "pages.safetensors"
DEFAULTED = ("classify", "embed", "features")  # take a hub's model where none is named

pytestmark = pytest.mark.slow


def picture(path, seed):
    """Small and smooth, another for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((50, 40)).save(path)


@pytest.fixture
def folder(tmp_path, torch, monkeypatch):
    """All files that the pages speak of."""
    for i, name in enumerate(
        ("photo.jpg", "cat.jpg", "dog.png", "photos/a.jpg", "photos/more/b.png", "new/c.jpg", "scans/d.png")
    ):
        picture(tmp_path / name, i)
    (tmp_path / "photos/damaged.jpg").write_bytes((tmp_path / "photo.jpg").read_bytes()[:300])
    (tmp_path / "films").mkdir()
    frames = [Image.new("RGB", (40, 40), color) for color in ("red", "green", "blue")]
    frames[0].save(tmp_path / "films/film.gif", save_all=True, append_images=frames[1:])
    for i, name in enumerate(CLASSES):
        for n in range(6):
            picture(tmp_path / "animals" / name / f"{n}.jpg", 100 + 10 * i + n)
    for i in range(40):
        part = "train" if i % 4 else "test"
        picture(tmp_path / "digits" / part / str(i % 2) / f"{i}.png", 1000 + i)
    import lcnet.nn

    model = lcnet.nn.create_model("lcnet_050", num_classes=3)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "checkpoint.pth")
    write_angles(tmp_path / PAGES)
    (tmp_path / "labels.txt").write_text("cat\ndog\nbird\n")
    (tmp_path / "list.txt").write_text("photo.jpg\ncat.jpg\ndog.png\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(page, language):
    """The code of a page in one language, a text a block."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.S | re.M)


def commands(page):
    """The lines that begin with `lcnet`, as words; not of the server, which does not end and which tests/serve runs."""
    for line in "".join(blocks(page, "sh")).splitlines():
        words = shlex.split(re.sub("--epochs [0-9]+", "", line.replace("lcnet_050.ra2_in1k", BUNDLED)), comments=True)
        if words[:1] == ["lcnet"] and words[1] != "serve":
            yield [*words[1:], *_short(words)]


def _short(words):
    """What is added to a command, so that it needs no hub and no minutes."""
    if words[1] == "train":
        return ["--epochs", "1"]
    if words[1] == "upright":
        return ["-m", PAGES, *(["--report", REPORT] if "--in-place" in words else [])]
    return ["-m", BUNDLED] if words[1] in DEFAULTED and "-m" not in words else []


def run(words, folder):
    return subprocess.run([sys.executable, "-m", "lcnet", *words], cwd=folder, capture_output=True, text=True, timeout=300)


# Six random pictures a class prove nothing, so that int8 is refused; the other codes are those that the pages announce.
REFUSED = {"quantize": 4}


@pytest.mark.parametrize("page", ["README.md", "docs/first-steps.md"])
def test_what_the_page_says_to_type_runs(page, folder):
    for words in commands(page):
        done = run(words, folder)
        allowed = {0, REFUSED.get(words[0], 1)} if words[0] in (*DEFAULTED, *REFUSED, "check-data") else {0}
        assert done.returncode in allowed, f"lcnet {shlex.join(words)}: {done.returncode}\n{done.stderr}"
        assert "Traceback" not in done.stderr


def test_the_tags_of_every_night_are_whole_and_are_kept(folder):
    nightly = next(words for words in commands("docs/first-steps.md") if words[-1] == "--update")
    assert run(nightly, folder).returncode == 1  # a picture is damaged
    first = (folder / "tags.csv").read_text()
    picture(folder / "photos/0-sorts-first.jpg", 50)
    (folder / "photos/damaged.jpg").unlink()
    assert run([*nightly, "--prune"], folder).returncode == 0
    second = (folder / "tags.csv").read_text()
    assert "0-sorts-first" in second and "damaged" in first and "damaged" not in second
    kept = [line for line in first.splitlines() if "a.jpg" in line]
    assert len(kept) == 5 and set(kept) < set(second.splitlines())


def test_the_python_of_first_steps_runs(folder, torch, capsys):
    for block in blocks("docs/first-steps.md", "python"):
        exec(block.replace("lcnet_050.ra2_in1k", BUNDLED), {})
    assert "photos" in capsys.readouterr().out


def test_the_python_of_many_pictures_runs(folder, capsys):
    block = next(b for b in blocks("README.md", "python") if "model.stream" in b)
    exec(f'import lcnet\nmodel = lcnet.load("{BUNDLED}")\n{block}', {})
    assert len(capsys.readouterr().out.splitlines()) == 3
