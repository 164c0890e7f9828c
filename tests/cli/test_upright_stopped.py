"""Jobs in processes of their own that are stopped, killed, or two at once: nothing is lost, and the next one goes on."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pages import encoded, marked
from upright_runs import JUDGE, contents, rows, run

from lcnet.cli import upright as command

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_decide", lambda given: JUDGE())
    monkeypatch.chdir(tmp_path)


CHILD = """
import sys, time
sys.path.insert(0, {tests!r})
from pages import judge
from lcnet.cli import upright as command
class Judge:
    short_side = 64
    def __call__(self, pages):
        time.sleep({delay})
        return judge(pages)
command._decide = lambda given: Judge()
from lcnet.__main__ import main
sys.argv[1:] = {arguments!r}
sys.exit(main())
"""


def child(*arguments, delay=0.02):
    code = CHILD.format(tests=str(Path(__file__).parents[1]), delay=delay, arguments=list(arguments))
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def many(count=60):
    Path("in").mkdir()
    data = [encoded(marked(96, 64, angle=angle), quality=70) for angle in (0, 90, 180)]
    for i in range(count):
        Path(f"in/{i:03}.jpg").write_bytes(data[i % 3])
    return contents("in")


def wait_for(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to that")


@pytest.mark.parametrize(
    ("number", "after"), [(signal.SIGINT, 9), (signal.SIGTERM, 1), (signal.SIGKILL, 1), (signal.SIGKILL, 9)]
)
def test_a_job_that_is_stopped_can_be_taken_back_and_goes_on(number, after):
    before = many()
    process = child("upright", "in", "--in-place", "--report", "r.jsonl", "--threads", "2")
    wait_for(lambda: Path("r.jsonl").exists() and Path("r.jsonl").read_text().count('"change"') >= after)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number), err
    assert "Traceback" not in err and (number == signal.SIGKILL or "stopped after" in err)
    changed = {name for name, data in contents("in").items() if before.get(name, data) != data}
    recorded = {Path(json.loads(line)["path"]).name for line in Path("r.jsonl").read_text().splitlines() if '"change"' in line}
    assert changed <= recorded and set(contents("in")) >= set(before)
    rows("in", "--in-place", "--report", "second.jsonl")
    assert {row["action"] for row in rows("in", "--dry-run").values()} == {"upright"}
    run("undo", "second.jsonl")
    run("undo", "r.jsonl")
    left = {name: data for name, data in contents("in").items() if not name.endswith(".tmp")}
    assert left == before


def test_two_runs_on_one_folder_at_once():
    before = many(30)
    both = [child("upright", "in", "--in-place", "--report", f"{i}.jsonl", delay=0.01) for i in (1, 2)]
    for process in both:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0 and "Traceback" not in err, err
    assert {row["action"] for row in rows("in", "--dry-run").values()} == {"upright"}
    for name in ("1.jsonl", "2.jsonl"):
        run("undo", name)
    assert contents("in") == before
