"""docs/scale.md is true: its commands run as they are printed, and give what one run gives."""

import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
from pictures import encoded, picture

PAGE = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
FAST = "-m lcnet_050.cifar10 --threads 1"

pytestmark = pytest.mark.slow
parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow (extra: parquet) is not installed")


def blocks(kind, heading=None):
    text = PAGE if heading is None else PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Pictures, and a program `lcnet` that takes the small model."""
    for i in range(7):
        path = tmp_path / "photos" / "below" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(seed=i), "PNG"))
    program = tmp_path / "bin" / "lcnet"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\ncommand=$1; shift\n[ "$command" = merge ] && exec {sys.executable} -m lcnet merge "$@"\n'
        f'exec {sys.executable} -m lcnet "$command" "$@" {FAST}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shell(text, **environment):
    done = subprocess.run(["sh", "-ec", text], capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_commands_run(place):
    shell(blocks("sh")[0])
    assert parquet.read_table("all.parquet")["file"].to_pylist() == [f"photos/below/{i}.png" for i in range(7)]


def test_arrays_jobs_and_schedulers_make_the_same_parts(place, monkeypatch):
    shell(blocks("sh")[0].splitlines()[0])
    job = re.search(r"- (lcnet embed .*)", blocks("yaml", "Kubernetes")[0])[1]
    shell(blocks("sh", "Slurm")[0], SLURM_ARRAY_TASK_ID="0")
    shell(job, JOB_COMPLETION_INDEX="1")
    function, spark, dask = blocks("python", "Spark and Dask")
    values = {}
    exec(function, values)
    here = types.SimpleNamespace(
        getOrCreate=lambda: here,
        parallelize=lambda tasks, _: here.take(tasks),
        map=lambda f, tasks=None: here.take(map(f, tasks or here.tasks)),
        take=lambda tasks: [setattr(here, "tasks", list(tasks)), here][1],
        collect=lambda: here.tasks,
        gather=lambda futures: futures.tasks,
    )
    monkeypatch.setitem(sys.modules, "pyspark", types.SimpleNamespace(SparkContext=here))
    monkeypatch.setitem(sys.modules, "dask.distributed", types.SimpleNamespace(Client=lambda: here))
    monkeypatch.setitem(sys.modules, "dask", types.ModuleType("dask"))
    exec(spark, values)
    assert values.pop("parts") == [f"part-{i}.parquet" for i in range(3)]
    exec(dask, values)
    assert values.pop("parts") == [f"part-{i}.parquet" for i in range(3)]
    assert "7 images of 3 parts" in shell(re.search(r"--wrap '(.*?)'", PAGE)[1])
