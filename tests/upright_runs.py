"""Runs of `lcnet upright` on small folders, with a judge in the place of the network."""

import json
from pathlib import Path

from click.testing import CliRunner
from pages import FAINT, encoded, judge, marked

from lcnet.cli import main

JUDGE = type("Judge", (), {"short_side": 64, "__call__": lambda self, pages: judge(pages)})


def tree():
    """A folder of pages: two upright, two that are not, an unsure one, and one in a folder below."""
    Path("in/below").mkdir(parents=True)
    for name, angle, options in (
        ("a.jpg", 0, {}),
        ("b.jpg", 90, {"quality": 90}),
        ("c.png", 180, {}),
        ("d.tif", 0, {"compression": "tiff_lzw"}),
    ):
        kind = {"jpg": "JPEG", "png": "PNG", "tif": "TIFF"}[name[-3:]]
        Path("in", name).write_bytes(encoded(marked(angle=angle), kind, **options))
    Path("in/e.png").write_bytes(encoded(marked(mark=FAINT, angle=90), "PNG"))
    Path("in/below/f.jpg").write_bytes(encoded(marked(angle=270)))
    return contents("in")


def contents(top):
    return {str(p.relative_to(top)): p.read_bytes() for p in sorted(Path(top).rglob("*")) if p.is_file()}


def run(*arguments, code=0):
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exit_code == code, (done.exit_code, done.output, done.exception)
    return done


def rows(*arguments, code=0, **options):
    done = run("upright", *arguments, "--format", "json", code=code, **options)
    return {(row["path"], row["page"]): row for row in json.loads(done.stdout)}


def report():
    (found,) = Path().glob("upright-*.jsonl")
    return found


def actions(found):
    return {Path(path).name: row["action"] for (path, _), row in found.items()}
