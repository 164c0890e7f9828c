"""`make soak`: many mixed requests to `lcnet serve`; no answer may be another's, and memory may not grow.

64 clients send 1,000 different small pictures, alone, as forms and as base64, as well as damaged ones and other questions.
Meanwhile the model is read again and again, and other clients vanish in the middle. Each answer is compared with that of the
library for its picture. Memory is looked at twenty times, and must not grow: in the last quarter it is at most `GROWN` times
what it was in the second one, when all that a server comes to hold is there. `-o` keeps what was seen.
"""

import argparse
import base64
import json
import random
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from pictures import encoded, picture

import lcnet
from lcnet.bench import machine

MODEL = "lcnet_050.cifar10"
CLIENTS, PICTURES = 64, 1000
GROWN, LOOKS = 1.1, 20
FORMATS = ("JPEG", "PNG", "WEBP")
BOUNDARY = "soak"


def pictures():
    """Different small pictures of several formats and sizes."""
    sizes = [(48 + 12 * (i % 6), 48 + 12 * (i % 5)) for i in range(PICTURES)]
    return [encoded(picture(seed=i, height=h, width=w), FORMATS[i % 3]) for i, (h, w) in enumerate(sizes)]


class Soak:
    """The server, the pictures with the right answers, and what went wrong."""

    def __init__(self, requests):
        model = lcnet.load(MODEL, threads=1)
        self.pictures = pictures()
        self.expected = [model.classify(data, top_k=3)[0].to_dict() for data in self.pictures]
        assert len({json.dumps(e) for e in self.expected}) > 0.95 * PICTURES
        self.requests, self.sent, self.answered, self.refused = requests, 0, 0, 0
        self.reloads, self.vanished = 0, 0
        self.wrong, self.memory, self.peak = [], [], 0.0
        self.lock, self.over = threading.Lock(), threading.Event()
        command = [sys.executable, "-m", "lcnet", "serve", MODEL, "--port", "0", "--log-format", "none", "--queue", "256"]
        command += ["--timeout", "60"]  # what is late on a machine with too much to do is not wrong
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.port = int(re.search(r":(\d+)$", self.process.stderr.readline().strip())[1])

    def run(self):
        """All requests; the list of what is wrong with the answers or the memory."""
        beside = [threading.Thread(target=work) for work in (self.reloading, self.vanishing)]
        for thread in beside:
            thread.start()
        try:
            with ThreadPoolExecutor(CLIENTS) as pool:
                for done in [pool.submit(self.client, number) for number in range(CLIENTS)]:
                    done.result()
        finally:
            self.over.set()
            for thread in beside:
                thread.join()
            self.process.send_signal(signal.SIGTERM)
            code = self.process.wait(timeout=60)
        early, late = (max(self.memory[i : i + LOOKS // 4]) for i in (LOOKS // 4, 3 * LOOKS // 4))
        grown = [f"memory went from {early:.1f} to {late:.1f} MB"] if late > GROWN * early else []
        return [*self.wrong, *grown, *([f"the server ended with {code}"] if code else [])]

    def seen(self):
        """What the run was, for `results/soak.json`."""
        return {
            "machine": machine(),
            "requests": self.sent,
            "clients": CLIENTS,
            "pictures": PICTURES,
            "right": self.answered,
            "refused": self.refused,
            "wrong": len(self.wrong),
            "reloads": self.reloads,
            "vanished": self.vanished,
            "memory_mb": self.memory,
            "peak_mb": self.peak,
        }

    def next(self):
        """The number of a request, or None at the end; looks at the memory now and then."""
        with self.lock:
            if self.sent >= self.requests:
                return None
            self.sent += 1
            if self.sent % max(self.requests // LOOKS, 1) == 0:
                self.look()
            return self.sent

    def look(self):
        said = Path(f"/proc/{self.process.pid}/status").read_text()
        now, self.peak = (int(said.partition(f"{name}:")[2].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM"))
        self.memory.append(now)
        print(
            f"{self.sent:>8} requests  {self.memory[-1]:6.1f} MB  {self.answered} right, {self.refused} refused, "
            f"{len(self.wrong)} wrong, {self.reloads} reloads, {self.vanished} vanished",
            flush=True,
        )

    def client(self, number):
        rng, connection = random.Random(number), self.connect()
        while (request := self.next()) is not None:
            kind = rng.choice((self.raw, self.raw, self.raw, self.form, self.base64, self.damaged, self.other))
            try:
                said = kind(connection, rng, f"r{request}")
            except (HTTPException, OSError) as error:
                connection.close()
                connection, said = self.connect(), repr(error)
            with self.lock:
                self.answered += said is True
                self.refused += said is None
                if said not in (True, None):
                    self.wrong.append(said)
        connection.close()

    def connect(self):
        return HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, connection, method, path, body=None, kind="application/octet-stream", name="x"):
        connection.request(method, path, body, {"content-type": kind, "x-request-id": name})
        answer = connection.getresponse()
        data = answer.read()
        if answer.headers["x-request-id"] != name:
            raise HTTPException(f"the answer to {name} is that to {answer.headers['x-request-id']}")
        return answer.status, json.loads(data) if answer.headers.get_content_type() == "application/json" else data

    def judged(self, status, said, places):
        """True if all is right, None if it was refused, else what is wrong."""
        if status == 503:
            return None
        found = [{k: v for k, v in item.items() if k != "name"} for item in said.get("results", [])]
        return (status == 200 and found == [self.expected[p] for p in places]) or f"{places}: {status} {said}"

    def raw(self, connection, rng, name):
        place = rng.randrange(PICTURES)
        return self.judged(*self.ask(connection, "POST", "/v1/classify?top_k=3", self.pictures[place], name=name), [place])

    def form(self, connection, rng, name):
        places = rng.sample(range(PICTURES), 3)
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'.encode()
        body = b"".join(head + self.pictures[p] + b"\r\n" for p in places) + f"--{BOUNDARY}--\r\n".encode()
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        return self.judged(*self.ask(connection, "POST", "/v1/classify?top_k=3", body, kind, name), places)

    def base64(self, connection, rng, name):
        places = rng.sample(range(PICTURES), 2)
        body = json.dumps({"images": [{"base64": base64.b64encode(self.pictures[p]).decode()} for p in places]})
        return self.judged(*self.ask(connection, "POST", "/v1/classify?top_k=3", body, "application/json", name), places)

    def damaged(self, connection, rng, name):
        data = self.pictures[rng.randrange(0, PICTURES, 3)]
        status, said = self.ask(connection, "POST", "/v1/classify", data[: len(data) // 2], name=name)
        return None if status == 503 else status == 400 or f"half a picture: {status} {said}"

    def other(self, connection, rng, name):
        path = rng.choice(("/health/live", "/metrics", "/v1/models", "/openapi.json", "/"))
        status, _ = self.ask(connection, "GET", path, name=name)
        return status == 200 or f"{path}: {status}"

    def reloading(self):
        while not self.over.wait(0.2):
            status, said = self.ask(self.connect(), "POST", f"/v1/models/{MODEL}/reload")
            self.reloads += 1
            if status != 200:
                self.wrong.append(f"reload: {status} {said}")

    def vanishing(self):
        rng = random.Random(0)
        while not self.over.wait(0.01):
            connection = self.connect()
            with suppress(OSError):
                connection.request("POST", "/v1/classify", self.pictures[rng.randrange(PICTURES)])
            if rng.random() < 0.5:
                self.over.wait(0.003)
            connection.close()
            self.vanished += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    begun, soak = time.perf_counter(), Soak(given.requests)
    wrong = soak.run()
    seconds = time.perf_counter() - begun
    print(f"{soak.answered} answers right, {soak.refused} refused, {len(wrong)} wrong in {seconds:.0f} s")
    print(*wrong[:10], sep="\n")
    if given.output:
        given.output.write_text(json.dumps({**soak.seen(), "wrong": len(wrong), "seconds": seconds}, indent=1) + "\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
