"""What docs/probe.md tells to type works, line by line and in order."""

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from test_probe import ROOM

from lcnet.cli import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/probe.md").read_text(encoding="utf-8")


@ROOM
def test_the_page_s_commands_and_python_run(tmp_path, monkeypatch):
    pytest.importorskip("onnx", reason="onnx (extra: export) is not installed")
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    from digits import write_digits

    write_digits(tmp_path / "digits", 8)
    (tmp_path / "blank").mkdir()
    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 60, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "blank" / f"{i}.png")
    lines = re.findall(r"^lcnet [^\n]+", PAGE.split("```sh\n", 1)[1].split("```", 1)[0], re.M)
    assert len(lines) == 7
    for line in lines:
        done = CliRunner().invoke(main, shlex.split(line, comments=True)[1:])
        assert done.exit_code == 0, f"{line}\n{done.output}"
    exec(PAGE.split("```python\n", 1)[1].split("```", 1)[0], {})
    assert (tmp_path / "cache" / "lcnet" / "features.sqlite").exists() and "torch" not in PAGE.split("```")[1]
    sys.modules.pop("digits", None)
