"""`lcnet serve` against other servers of the same network: requests a second, the processor's time for each, latency, memory.

lcnet_050 with the same random weights for 1000 classes, one drawn JPEG of 500x375 pixels and 100 KB, loopback. All servers are
started, and stopped by signal but for the one that has its turn. Sections:

- `start`: seconds from the start of the process to the first answer of its health that says ready;
- `load`: 1, 8, 32 and 128 connections that send their next request when the last is answered, the servers in turns, and
  health asked for meanwhile. Peers have their default number of threads a call, or one: `reach` is our lead over LitServe
  as its documentation has it and over FastAPI at its better setting. CPU is user and system time of all the server's
  processes over its answers, which holds on a noisy machine too; the clients' (`serve_load.py`, a process of its own) is
  not counted. Memory is the sum of the peaks of the server's processes, of which those of several may share some;
- `overload`: requests sent at four times the rate that was the peak, whatever comes back, to our server as it is by default.
  `kept` is what is answered all the same, over the peak; `kept_cpu` the same a second of the server's CPU time, refusals
  included, which the clients, who have four times as much to send from the same processors, do not take from.

Peers that are not installed are left out: `pip install litserve==0.2.19 timm torch fastapi onnxruntime`. `--quick` is a look.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import numpy as np
from PIL import Image
from serve_load import Load

import lcnet
from lcnet import modelfile, quantize
from lcnet.bench import machine
from lcnet.bench.weights import random_model
from lcnet.zoo import find

HERE = Path(__file__).parent
CONNECTIONS = (1, 8, 32, 128)
BYTES = 100_000
QUEUE = 256  # so that 128 connections are all served
PEAK, TIMES = 32, 4  # connections of the peak; what an overload is of its rate
SECTIONS = ("start", "load", "overload")
TICKS = os.sysconf("SC_CLK_TCK")
READY = 120  # seconds


@dataclass(frozen=True)
class Way:
    """A server: its command, what it is asked, and how often its start is timed."""

    name: str
    command: Callable[..., list[str]]
    path: str
    version: str
    health: str = "/health"
    form: bool = False
    starts: int = 3


@dataclass
class Row:
    """A server at a number of connections: what was seen in each round, and the medians."""

    server: str
    connections: int
    rounds: list[dict[str, Any]] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        keys = dict.fromkeys(k for r in self.rounds for k, v in r.items() if isinstance(v, int | float))
        medians = {k: median(r[k] for r in self.rounds if k in r) for k in keys}
        return {"server": self.server, "connections": self.connections, **medians, "rounds": self.rounds}


def drawn(seed: int, size: tuple[int, int], grain: float = 24.0) -> Image.Image:
    """Soft patches of colour with some grain: as hard to compress as a photograph."""
    rng = np.random.default_rng(seed)
    patches = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    noise = rng.normal(0, grain, (size[1], size[0], 1))
    return Image.fromarray((np.asarray(patches) + noise).clip(0, 255).astype(np.uint8))


def jpeg() -> bytes:
    """The picture, of the quality that comes closest to `BYTES`."""

    def saved(quality: int) -> bytes:
        file = io.BytesIO()
        drawn(0, (500, 375)).save(file, "JPEG", quality=quality)
        return file.getvalue()

    return min(map(saved, range(50, 97)), key=lambda data: abs(len(data) - BYTES))


def files(folder: Path, peers: bool) -> dict[str, Path]:
    """The model in float; in int8 and, where it can be made, as ONNX, if others are compared."""
    made = {"fp32": folder / "model.safetensors", "int8": folder / "int8.safetensors", "onnx": folder / "model.onnx"}
    model = random_model(find("lcnet_050").config())
    modelfile.write(made["fp32"], model)
    if not peers:
        return made
    (folder / "pictures").mkdir()
    for seed in range(64):
        drawn(seed, (300, 240), 6).save(folder / f"pictures/{seed}.png")
    options = quantize.QuantizeOptions(images=32)
    modelfile.write(made["int8"], quantize.quantize(model, folder / "pictures", None, options, force=True).model)
    with suppress(lcnet.errors.MissingExtraError):
        from lcnet.export.onnx import to_onnx

        made["onnx"].write_bytes(to_onnx(model).SerializeToString())
    return made


def ways(made: dict[str, Path]) -> list[Way]:
    """The servers that can run here; says which cannot."""
    found = [
        Way(f"lcnet{end}", partial(ours, made[kind], QUEUE), "/v1/classify?top_k=5", "", "/health/ready")
        for kind, end in (("fp32", ""), ("int8", " int8"))
    ]
    kinds: list[tuple[str, str, str, str, tuple[str, ...], int]] = [
        ("fastapi", "serve_fastapi.py", "onnx", "/classify", ("fastapi", "onnxruntime", "onnx"), 3),
        ("litserve", "serve_litserve.py", "fp32", "/predict", ("litserve", "timm", "torch"), 1),
    ]
    for name, script, kind, path, needs, starts in kinds:
        if there(*needs):
            version = ", ".join(f"{n} {metadata.version(n)}" for n in needs)
            for threads in ("0", "1"):
                command = partial(peer, script, made[kind], threads)
                called = f"{name}{', 1 thread' * (threads == '1')}"
                found.append(Way(called, command, path, version, form=name == "litserve", starts=starts))
    return found


def there(*names: str) -> bool:
    """Whether all of a peer is installed."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            print(f"{names[0]} is left out: {name} is not installed")
            return False
    return True


def ours(file: Path, queue: int | None, port: int) -> list[str]:
    options = [] if queue is None else ["--queue", str(queue)]
    return [sys.executable, "-m", "lcnet", "serve", str(file), "--log-format", "none", "--port", str(port), *options]


def peer(script: str, file: Path, *arguments: str, port: int) -> list[str]:
    return [sys.executable, str(HERE / script), str(port), str(file), *arguments]


class Server:
    """A server's processes. `seconds`: of its start. Stopped, by signal, until its turn."""

    def __init__(self, way: Way, log: Path) -> None:
        self.way, self.port = way, free_port()
        with log.open("wb") as sink:
            self._process = subprocess.Popen(way.command(port=self.port), stdout=sink, stderr=sink, start_new_session=True)
        begun = time.perf_counter()
        while not self._ready():
            if self._process.poll() is not None or time.perf_counter() - begun > READY:
                self.end()
                raise RuntimeError(f"{way.name} did not start: {log.read_text()[-2000:]}")
            time.sleep(0.005)
        self.seconds = time.perf_counter() - begun

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{self.way.health}", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def send(self, number: signal.Signals) -> None:
        """A signal to all processes."""
        for pid, _ in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self) -> None:
        self.send(signal.SIGCONT)
        self.send(signal.SIGKILL)
        self._process.wait()

    def processes(self) -> list[tuple[int, list[str]]]:
        """The processes of its session, and the fields of their /proc/PID/stat from the third on."""
        found = []
        for folder in Path("/proc").iterdir():
            with suppress(OSError):
                if folder.name.isdigit():
                    fields = (folder / "stat").read_text().rpartition(")")[2].split()
                    found.append((int(folder.name), fields))
        return [(pid, fields) for pid, fields in found if int(fields[3]) == self._process.pid]

    def cpu(self) -> float:
        """Seconds of user and system time, of ended children too."""
        return sum(int(n) for _, fields in self.processes() for n in fields[11:15]) / TICKS

    def peaks(self) -> list[float]:
        """The most memory, in MB, that each process ever had."""
        texts = [Path(f"/proc/{pid}/status").read_text() for pid, _ in self.processes()]
        return [int(t.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6 for t in texts if "VmHWM" in t]

    def loaded(self, request: Path, connections: int, seconds: float, rate: float | None = None) -> dict[str, Any]:
        """Send a load; what was seen, with the processor's milliseconds an answer."""
        load = Load(self.port, str(request), self.way.health, connections, seconds, min(seconds / 4, 1.0), rate)
        before, begun = self.cpu(), time.perf_counter()
        command = [sys.executable, str(HERE / "serve_load.py"), json.dumps(asdict(load))]
        seen: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        cpu, wall = self.cpu() - before, time.perf_counter() - begun
        cores = {"cores": cpu / wall, "client_cores": seen["client_cpu"] / wall}
        return seen | {"cpu_ms": 1e3 * cpu / max(seen["answers"], 1), **cores, "load": os.getloadavg()[0]}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def request(way: Way, data: bytes) -> bytes:
    """A picture as this server wants it."""
    kind = "image/jpeg"
    if way.form:
        kind = "multipart/form-data; boundary=lcnet"
        part = (
            b'--lcnet\r\nContent-Disposition: form-data; name="request"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        )
        data = part + data + b"\r\n--lcnet--\r\n"
    head = f"POST {way.path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


def check(server: Server, data: bytes, expected: dict[int, float]) -> None:
    """Raise `RuntimeError` unless a server answers as the library does, up to its resize and rounding (int8's too)."""
    body = request(server.way, data).partition(b"\r\n\r\n")
    kind = body[0].partition(b"Content-Type: ")[2].split(b"\r\n")[0].decode()
    url = f"http://127.0.0.1:{server.port}{server.way.path}"
    with urllib.request.urlopen(urllib.request.Request(url, body[2], {"Content-Type": kind}), timeout=30) as answer:
        said = json.load(answer)
    top = said["results"][0]["top"] if "results" in said else []
    found = {t["index"]: t["probability"] for t in top} or dict(zip(said["classes"], said["probabilities"], strict=True))
    if not np.allclose(list(found.values()), [expected[index] for index in found], rtol=0.1):
        raise RuntimeError(f"{server.way.name} answers {found}, expected {[expected[index] for index in found]}")


class Bench:
    """The servers, the picture, and how long to measure."""

    def __init__(self, folder: Path, seconds: float, rounds: int, peers: bool) -> None:
        self.folder, self.seconds, self.rounds = folder, seconds, rounds
        self.data, self.files = jpeg(), files(folder, peers)
        model = lcnet.load(self.files["fp32"], threads=1)
        self.expected = {p.index: p.probability for p in model.classify(self.data, top_k=1000)[0].top}

    def start(self, way: Way, times: int = 1) -> tuple[Server, list[float]]:
        """A server that waits for its turn, and the seconds of its starts."""
        (self.folder / f"{way.name}.request").write_bytes(request(way, self.data))
        taken = []
        for left in reversed(range(times)):
            server = Server(way, self.folder / f"{way.name}.log")
            taken.append(server.seconds)
            if left:
                server.end()
        check(server, self.data, self.expected)
        server.send(signal.SIGSTOP)
        return server, taken

    def turn(self, server: Server, *load: Any) -> dict[str, Any]:
        server.send(signal.SIGCONT)
        try:
            return server.loaded(self.folder / f"{server.way.name}.request", *load)
        finally:
            server.send(signal.SIGSTOP)

    def load(self, servers: list[Server]) -> list[dict[str, Any]]:
        """Every server at every number of connections."""
        rows = {(s.way.name, c): Row(s.way.name, c) for s in servers for c in CONNECTIONS}
        for turn in range(self.rounds):
            for connections in CONNECTIONS:
                for server in servers[turn % len(servers) :] + servers[: turn % len(servers)]:
                    rows[server.way.name, connections].rounds.append(self.turn(server, connections, self.seconds))
        return [row.summary() for row in rows.values()]

    def overload(self, server: Server) -> dict[str, Any]:
        """The peak, and four times as many requests, in turns."""
        rounds = []
        for _ in range(self.rounds):
            peak = self.turn(server, PEAK, self.seconds)
            over = self.turn(server, 0, self.seconds, TIMES * peak["per_second"])
            kept = over["per_second"] / peak["per_second"]
            rounds.append({"peak": peak, "overload": over, "kept": kept, "kept_cpu": peak["cpu_ms"] / over["cpu_ms"]})
        keys = ("per_second", "refused_p50", "refused_p99", "refused_per_second", "health_p99", "p99", "cores", "client_cores")
        medians = {k: median(r["overload"].get(k, 0.0) for r in rounds) for k in keys}
        peak = median(r["peak"]["per_second"] for r in rounds)
        kept = {k: median(r[k] for r in rounds) for k in ("kept", "kept_cpu")}
        clients = median(r["peak"]["client_cores"] for r in rounds)
        return {"peak_per_second": peak, "peak_client_cores": clients, **kept, **medians, "rounds": rounds}


def ratios(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Each server's CPU time an answer over ours in float, the geometric mean over the numbers of connections."""
    cpu = {(r["server"], r["connections"]): r["cpu_ms"] for r in rows}
    names = dict.fromkeys(r["server"] for r in rows)
    return {n: geometric_mean(cpu[n, c] / cpu["lcnet", c] for c in CONNECTIONS) for n in names}


def reach(found: dict[str, float]) -> dict[str, float]:
    """Our lead over LitServe as its documentation has it, and over FastAPI at its better number of threads a call."""
    fastapi = [ratio for name, ratio in found.items() if name.startswith("fastapi")]
    leads = {"litserve": found.get("litserve"), "fastapi": min(fastapi, default=None), "int8": 1 / found["lcnet int8"]}
    return {name: lead for name, lead in leads.items() if lead is not None}


def run(bench: Bench, sections: list[str]) -> dict[str, Any]:
    """Measure the sections."""
    result: dict[str, Any] = {"machine": machine(), "picture_bytes": len(bench.data), "seconds": bench.seconds}
    with ExitStack() as stack:
        if {"start", "load"} & set(sections):
            servers, result["servers"] = [], []
            for way in ways(bench.files):
                server, taken = bench.start(way, way.starts if "start" in sections else 1)
                stack.callback(server.end)
                servers.append(server)
                result["servers"].append({"server": way.name, "version": way.version, "start": taken})
                print(f"{way.name:<20} ready within {median(taken):.2f} s")
        if "load" in sections:
            result["load"] = bench.load(servers)
            result["cpu_ratios"] = ratios(result["load"])
            result["reach"] = reach(result["cpu_ratios"])
            for server, told in zip(servers, result["servers"], strict=True):
                told["peak_mb"] = server.peaks()
        if "overload" in sections:
            way = Way("lcnet by default", partial(ours, bench.files["fp32"], None), "/v1/classify?top_k=5", "", "/health/ready")
            server, _ = bench.start(way)
            stack.callback(server.end)
            result["overload"] = bench.overload(server)
    return result


def shown(result: dict[str, Any]) -> Iterator[str]:
    """Lines to look at."""
    for r in result.get("load", []):
        yield (
            f"{r['server']:<20} {r['connections']:>3} connections {r['per_second']:7.1f}/s {r['cpu_ms']:6.2f} ms CPU  "
            f"p50 {r['p50']:7.1f}  p99 {r['p99']:7.1f}  health p99 {r['health_p99']:6.1f} ms  cores {r['cores']:.2f}"
        )
    for r in result.get("servers", []):
        ratio = result.get("cpu_ratios", {}).get(r["server"], float("nan"))
        memory = sum(r.get("peak_mb", []))
        yield f"{r['server']:<20} {ratio:.2f}x our CPU time, {memory:.0f} MB, ready in {median(r['start']):.2f} s"
    yield from (f"{name}: a lead of {lead:.2f}x" for name, lead in result.get("reach", {}).items())
    if over := result.get("overload"):
        yield (
            f"overload: {over['per_second']:.0f} of {over['peak_per_second']:.0f}/s kept ({over['kept']:.0%}; a CPU second "
            f"{over['kept_cpu']:.0%}), {over['refused_per_second']:.0f}/s refused within {over['refused_p50']:.1f} ms (p99 "
            f"{over['refused_p99']:.1f}), health p99 {over['health_p99']:.1f} ms"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--seconds", type=float, default=2.5, help="of each turn that count")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of one second")
    parser.add_argument("-o", "--output", type=Path, help="a file, which keeps the sections that are not measured")
    given = parser.parse_args()
    seconds, rounds = (1.0, 1) if given.quick else (given.seconds, given.rounds)
    folder = Path(tempfile.mkdtemp(prefix="lcnet-bench-"))
    try:
        result = run(Bench(folder, seconds, rounds, {"start", "load"} & set(given.sections) != set()), given.sections)
    finally:
        shutil.rmtree(folder)
    if given.output:
        known = json.loads(given.output.read_text()) if given.output.exists() else {}
        given.output.write_text(json.dumps(known | result, indent=1) + "\n")
    print(*shown(result), sep="\n")


if __name__ == "__main__":
    main()
