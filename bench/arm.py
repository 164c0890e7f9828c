"""What ARM costs, without a machine: instructions an image beside ncnn's, and inner loops in models of two CPUs.

    make arm ARM_OPTIONS=--clang EMULATED="qemu-aarch64 -L ROOT ROOT/usr/bin/python3.11"
    python bench/arm.py --python "qemu-aarch64 -L ROOT ROOT/usr/bin/python3.11" -o results/arm.json

These are counts and upper bounds, not times: an instruction may take a quarter of a cycle or hundreds. `lcnet bench` gives
times to whoever has such a machine. Needs a C compiler, qemu-user, clang-19 and llvm-19, and ncnn's wheel for ARM, which pip
fetches. --python is as for `make arm`, which has to have run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SITE = ROOT / "build" / "arm-site"  # what `make arm` has left for an emulated Python
NCNN = ROOT / "build" / "arm-ncnn"
NETWORKS = ("lcnet_050", "lcnet_100")
IMAGES = (1, 7)  # the difference of two runs leaves out what is done once
CPU = "cortex-a76"  # with dot products; its float kernels are those of any other

RUN = """
import sys
import numpy as np
engine, model, images, isa = sys.argv[1:5]
x = np.load(sys.argv[5])
if engine == "lcnet":
    import lcnet
    loaded = lcnet.load(model, threads=1, isa=isa)
    for _ in range(int(images)):
        logits = loaded.run(x)
else:
    import ncnn
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_bf16_storage = False
    net.load_param(model + ".param"), net.load_model(model + ".bin")
    for _ in range(int(images)):
        extractor = net.create_extractor()
        extractor.input("input", ncnn.Mat(x[0]))
        logits = np.array(extractor.extract("logits")[1])[None]
np.save(sys.argv[6], logits)
"""

# The inner loops: the file, its flags, the instruction that is counted, how many a round, multiply-adds each.
LOOPS = (
    ("gemm fp32, 6 pixels x 4 vectors", "neon.cpp", "-march=armv8-a", "fmla", 96, 4),
    ("depthwise 3x3 fp32, 14 pixels", "neon.cpp", "-march=armv8-a", "fmla", 42, 4),
    ("depthwise 5x5 fp32, 14 pixels", "neon.cpp", "-march=armv8-a", "fmla", 70, 4),
    ("gemm int8, 6 pixels x 4 vectors", "int8/neon_dot.cpp", "-march=armv8.2-a+dotprod", "sdot", 96, 16),
    ("depthwise 3x3 int8, 14 pixels", "int8/neon_dot.cpp", "-march=armv8.2-a+dotprod", "sdot", 42, 16),
)
PEAK = {"neoverse-v1": 4, "neoverse-n1": 2}  # vector multiply-adds, and dot products, that can begin in a cycle


def main() -> None:
    """Count, print as it goes, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", help="a command that runs an emulated Python; without it only the loops")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    result: dict[str, Any] = {"date": f"{datetime.now(UTC):%F}", "loops": list(loops())}
    if given.python:
        with tempfile.TemporaryDirectory() as folder:
            result["instructions"] = list(counted(shlex.split(given.python), Path(folder)))
        result |= json.loads((SITE / "built.json").read_text())
    if given.output:
        given.output.write_text(json.dumps(result, indent=1) + "\n")


def counted(python: list[str], folder: Path) -> Iterator[dict[str, Any]]:
    """A row a network and engine: millions of instructions an image, and how far the logits are from ours."""
    import numpy as np

    plugin = folder / "count.so"
    run("cc", "-shared", "-fPIC", "-O2", "-o", plugin, ROOT / "bench" / "arm_count.c")
    get_ncnn(run(*python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip())
    np.save(folder / "x.npy", np.random.default_rng(0).standard_normal((1, 3, 224, 224), np.float32))
    for network in NETWORKS:
        write_models(network, folder)
        for engine, kind, isa in (
            ("lcnet", "fp32", "neon"),
            ("ncnn", "fp32", "-"),
            ("lcnet", "int8", "neon_dot"),
            ("lcnet", "int8", "neon"),
        ):
            model = folder / network if engine == "ncnn" else folder / f"{network}.{kind}.safetensors"
            totals = [instructions(python, plugin, engine, model, images, isa, folder) for images in IMAGES]
            each = (totals[1] - totals[0]) / (IMAGES[1] - IMAGES[0]) / 1e6
            row = {"network": network, "engine": engine, "kind": kind, "isa": isa, "millions": round(each, 2)}
            print(row, flush=True)
            yield row


def instructions(python: list[str], plugin: Path, engine: str, model: Path, images: int, isa: str, folder: Path) -> int:
    """What a program executes from its start to its end. Its logits are left in `folder`."""
    emulator, *rest = python
    command = [emulator, "-cpu", CPU, "-plugin", str(plugin), "-d", "plugin", *rest, "-c", RUN]
    arguments = [engine, str(model), str(images), isa, str(folder / "x.npy"), str(folder / f"{model.name}.{engine}.npy")]
    path = f"{SITE}:{NCNN}"
    told = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment(PYTHONPATH=path))
    found = re.search(r"instructions (\d+)", told.stderr)
    if told.returncode or not found:
        sys.exit(f"{engine} did not run on {CPU}:\n{told.stderr[-3000:]}")
    return int(found[1])


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", **more}


def write_models(network: str, folder: Path) -> None:
    """Random weights as a model file, for ncnn, and quantised; all in `folder` by the network's name."""
    from lcnet import modelfile
    from lcnet.arch import Arch
    from lcnet.bench.weights import random_model
    from lcnet.config import ModelConfig
    from lcnet.export.ncnn import write_ncnn

    model = random_model(ModelConfig(Arch.of(network)))
    modelfile.write(folder / f"{network}.fp32.safetensors", model)
    write_ncnn(model, Copied(folder / network))
    modelfile.write(folder / f"{network}.int8.safetensors", quantized(model))


class Copied:
    """Stands for an ncnn network: the files that it is to load are kept under a name."""

    def __init__(self, name: Path) -> None:
        self.name = name

    def load_param(self, path: str) -> None:
        shutil.copy(path, self.name.with_suffix(".param"))

    def load_model(self, path: str) -> None:
        shutil.copy(path, self.name.with_suffix(".bin"))


def quantized(model: Any) -> Any:
    """The model with every layer in int8, its ranges those of two pictures of noise: its speed is that of a good one."""
    import numpy as np

    from lcnet.config import Quantization
    from lcnet.modelfile import ModelFile
    from lcnet.modelfile.fold import fold
    from lcnet.modelfile.quantized import to_weights
    from lcnet.quantize import ranges, scheme
    from lcnet.quantize.network import float_layers, layers_in_order

    arch, pre = model.config.arch, model.config.preprocessing
    exact: dict[str, Any] = dict(float_layers(fold(model)))
    x = np.random.default_rng(1).standard_normal((2, 3, 224, 224)).astype(np.float32)
    seen = ranges.collect(arch, exact, pre, [x])
    layers: dict[str, Any] = dict(exact)
    for layer in layers_in_order(arch):
        if layer.kind == "stem":
            layers[layer.name] = scheme.quantize_stem(exact[layer.name], pre)
        else:
            lo, hi = ranges.choose(layer, seen.histograms[layer.name], "minmax")
            layers[layer.name] = scheme.quantize_layer(layer, exact[layer.name], lo, hi, scheme.EQUALIZATION)
    return ModelFile(replace(model.config, quantization=Quantization()), to_weights(layers, arch))


def get_ncnn(version: str) -> None:
    """ncnn's wheel for ARM, unpacked."""
    if not (NCNN / "ncnn").exists():
        fits = ["--python-version", version, "--implementation", "cp", "--platform=manylinux_2_28_aarch64"]
        run(
            sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--only-binary", ":all:", "--target", NCNN, *fits, "ncnn"
        )


def loops() -> Iterator[dict[str, Any]]:
    """A row a loop and CPU: how many of its multiply-adds begin in a cycle, of as many as can."""
    assembly = {}
    for name, file, flags, instruction, count, macs in LOOPS:
        if file not in assembly:
            assembly[file] = compiled(file, flags)
        body = loop(assembly[file], instruction, count)
        for cpu, peak in PEAK.items():
            rate = 200 * count / cycles(body, cpu)
            row = {
                "loop": name,
                "cpu": cpu,
                "a_cycle": round(rate, 2),
                "of_peak": round(rate / peak, 3),
                "macs": round(rate * macs),
            }
            print(row, flush=True)
            yield row


def compiled(file: str, flags: str) -> str:
    """A file of kernels as Clang's assembly."""
    source = ROOT / "native" / "kernels" / file
    options = "--target=aarch64-linux-gnu -std=c++20 -O3 -DNDEBUG -ffp-contract=off -fPIC -S -o -".split()
    return run("clang++-19", *options, flags, source)


def loop(assembly: str, instruction: str, count: int) -> str:
    """The shortest block that jumps to its own start and has `count` of the instruction, no more and no less."""
    blocks = re.split(r"^(\.L\w+):.*$", assembly, flags=re.MULTILINE)
    found = []
    for label, text in zip(blocks[1::2], blocks[2::2], strict=True):
        lines = [line.split("//")[0].rstrip() for line in text.splitlines()]
        body = [line for line in lines if re.match(r"\t[a-z]", line)]
        end = next((i for i, line in enumerate(body) if re.match(r"\tb\.|\tcbn?z|\ttbn?z|\tb\t|\tret", line)), None)
        if end is None or not re.search(rf"{re.escape(label)}$", body[end]):
            continue
        body = body[: end + 1]
        if Counter(line.split()[0] for line in body)[instruction] == count:
            found.append("\n".join(body))
    if not found:
        sys.exit(f"no loop has {count} {instruction}")
    return min(found, key=len)


def cycles(body: str, cpu: str) -> int:
    """How long 200 rounds take in llvm-mca's model."""
    options = ["-mtriple=aarch64", f"-mcpu={cpu}", "-iterations=200", "-instruction-tables=false"]
    told = subprocess.run(["llvm-mca-19", *options[:3]], input=body, capture_output=True, text=True)
    found = re.search(r"Total Cycles:\s+(\d+)", told.stdout)
    if not found:
        sys.exit(f"llvm-mca does not take the loop:\n{told.stderr[-2000:]}")
    return int(found[1])


def run(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


if __name__ == "__main__":
    main()
