"""Runs on Ray: the answers of one machine, every picture once whatever is killed, and what is refused."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import numpy as np
import pytest
from pictures import encoded, picture
from PIL import Image

import lcnet

os.environ.setdefault("RAY_AUTH_MODE", "disabled")
pytest.importorskip("ray.data", reason="ray[data] (extra: ray) is not installed")
import pyarrow.parquet as parquet
import ray

from lcnet import cluster
from lcnet.errors import InputError, LcnetError

MODEL = "lcnet_050.cifar10"
MARK = "LCNET_TEST_RAY"
PAGE = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
LCNET = [sys.executable, "-m", "lcnet"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def here():
    """A Ray of this process, whose processes bear a mark."""
    os.environ[MARK] = uuid.uuid4().hex
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield os.environ[MARK]
    ray.shutdown()


def actors(mark):
    """The processes of our actors, those alone that bear this mark."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            ours = f"{MARK}={mark}".encode() in (path / "environ").read_bytes()
            if ours and (path / "cmdline").read_bytes().startswith(b"ray::MapWorker(MapBatches(Answers"):
                found.append(int(path.name))
        except OSError:
            continue
    return found


def resident(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) >> 10


def files(folder):
    return sorted(folder.glob("*.parquet"))


def rows(folder):
    return parquet.read_table(files(folder)[0].parent).sort_by("id") if files(folder) else None


def every_once(folder, paths):
    found = rows(folder)
    assert found["id"].to_pylist() == list(range(len(paths)))
    assert found["file"].to_pylist() == [str(path) for path in paths]
    return found


@pytest.fixture(scope="module")
def slow_paths(tmp_path_factory):
    """One picture that takes a while, many times."""
    path = tmp_path_factory.mktemp("slow") / "large.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)).save(path)
    return [path] * 240


def wait_for(what, seconds=300):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def test_the_answers_are_those_of_one_machine(here, tmp_path):
    paths = []
    for i, name in enumerate(["a", "new\nline", "[x]*", "broken", "ü", "b"]):
        paths.append(tmp_path / f"{name}.png")
        paths[-1].write_bytes(b"broken" if name == "broken" else encoded(picture(seed=i), "PNG"))
    paths.append(tmp_path / "vanished.png")
    done = cluster.run(paths, MODEL, tmp_path / "out", "embeddings", block=2)
    found, model = every_once(tmp_path / "out", paths), lcnet.load(MODEL, threads=1)
    errors = found["error"].to_pylist()
    assert done == (7, 2) and [i for i, error in enumerate(errors) if error] == [3, 6] and "no such file" in errors[6]
    for path, values in zip(paths, found["embeddings"].to_pylist(), strict=True):
        if values is not None:
            np.testing.assert_array_equal(np.float32(values), model.embeddings(path)[0])
    assert cluster.run(paths, MODEL, tmp_path / "out", "embeddings", resume=True) == done  # which is done already
    with pytest.raises(InputError, match="was begun with kind"):
        cluster.run(paths, MODEL, tmp_path / "out", "classify", resume=True)
    with pytest.raises(InputError, match="in a Ray cluster already"):
        cluster.run(paths, MODEL, tmp_path / "other", address="auto")


def test_the_example_of_the_page_runs(here, tmp_path, monkeypatch):
    text = PAGE.split("## Ray\n", 1)[1].split("```python\n", 1)[1].split("```", 1)[0]
    (tmp_path / "photos" / "below").mkdir(parents=True)
    (tmp_path / "photos" / "below" / "a.png").write_bytes(encoded(picture(), "PNG"))
    monkeypatch.chdir(tmp_path)
    values = {}
    exec(text.replace('"lcnet_050"', f'"{MODEL}"'), values)
    assert values["done"] == (1, 0)


def test_a_dataset_with_its_own_columns(here, tmp_path):
    import pyarrow as pa

    (tmp_path / "a.png").write_bytes(encoded(picture(seed=1), "PNG"))
    given = pa.table({"row": [7, 3, 5], "where": [str(tmp_path / "a.png"), "gone.png", None], "more": ["x", "y", "z"]})
    parquet.write_table(given, tmp_path / "given.parquet")
    dataset = ray.data.read_parquet(str(tmp_path / "given.parquet"))
    done = cluster.run(dataset, MODEL, tmp_path / "out", path_column="where", id_column="row", top_k=2)
    found = rows(tmp_path / "out")
    assert done == (3, 2) and found["id"].to_pylist() == [3, 5, 7]
    assert found["top"].to_pylist()[2][0]["label"] == lcnet.load(MODEL).classify(tmp_path / "a.png")[0].top[0].label


def test_a_model_that_is_another_file_on_a_node_is_refused(here, tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(encoded(picture(), "PNG"))
    monkeypatch.setattr(cluster, "digest_of", lambda _: "0" * 64)
    started = time.monotonic()
    with pytest.raises(LcnetError, match=r"is another file \(sha256 102af9d69bf5\.\.\.\) than the run began with"):
        cluster.run([tmp_path / "a.png"], MODEL, tmp_path / "out")
    assert time.monotonic() - started < 90 and not files(tmp_path / "out")


def test_an_actor_that_is_killed_loses_and_doubles_nothing(here, slow_paths, tmp_path):
    out, caught = tmp_path / "out", []

    def job():
        try:
            cluster.run(slow_paths, MODEL, out, "embeddings", block=10, actors=2)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=job)
    thread.start()
    wait_for(lambda: len(files(out)) >= 2 or not thread.is_alive())
    assert thread.is_alive() and actors(here)
    os.kill(actors(here)[0], signal.SIGKILL)
    thread.join(300)
    assert not caught and not thread.is_alive()
    assert every_once(out, slow_paths)["error"].null_count == len(slow_paths)


def test_memory_stays_with_many_pictures(here, tmp_path):
    path, seen = tmp_path / "a.png", {}
    path.write_bytes(encoded(picture(), "PNG"))
    thread = threading.Thread(
        target=cluster.run, args=([path] * 6000, MODEL, tmp_path / "out", "embeddings"), kwargs={"block": 200}
    )
    thread.start()
    while thread.is_alive():
        for pid in actors(here) if len(files(tmp_path / "out")) >= 2 else ():
            try:
                seen.setdefault(pid, []).append(resident(pid))
            except (OSError, StopIteration):
                continue
        time.sleep(0.1)
    every_once(tmp_path / "out", [path] * 6000)
    growth = max(max(sizes) - sizes[0] for sizes in seen.values())
    assert growth < 60, seen  # MiB, of 30 MiB of answers an actor


def test_a_driver_that_is_killed_is_resumed_with_every_picture_once(slow_paths, tmp_path):
    """By the command, which starts a Ray of its own."""
    (tmp_path / "list").write_text("".join(f"{path}\n" for path in slow_paths))
    out = tmp_path / "answers"
    command = [*LCNET, "embed", "-m", MODEL, "--threads", "2", "--files-from", tmp_path / "list", "--ray", "-o", out]
    code = "import sys, lcnet.cluster as c; c.BLOCK = 10; from lcnet.__main__ import main; sys.argv = sys.argv[1:]; main()"
    command = [sys.executable, "-c", code, "lcnet", *map(str, command[3:])]
    environment = {**os.environ, MARK: uuid.uuid4().hex, "RAY_AUTH_MODE": "disabled"}
    driver = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(list((out / "_checkpoint").glob("*.parquet"))) >= 3 or driver.poll() is not None)
    assert driver.poll() is None
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    wait_for(lambda: not actors(environment[MARK]))
    before = {path: path.read_bytes() for path in files(out)}
    assert 0 < len(before) < 24
    refused = subprocess.run([*command], env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 4 and "exists" in refused.stderr
    done = subprocess.run([*command, "--resume"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "answers: 240 images" in done.stdout, done.stdout + done.stderr
    every_once(out, slow_paths)
    kept = [path for path, data in before.items() if path.exists() and path.read_bytes() == data]
    assert len(kept) >= 2  # what was noted is not done again
    assert sorted(path.name for path in out.iterdir() if path.suffix != ".parquet") == ["_lcnet.json"]
