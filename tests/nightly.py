"""Pictures that come, go and change, and the files of results that are to follow them."""

import csv
import json
import os
import random
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import lcnet
from lcnet.config import Labels
from lcnet.results import outputs
from lcnet.results.rows import Arrays
from lcnet.results.update import Update
from lcnet.sources import find
from lcnet.text import shown

ROWS = Arrays({"embeddings": (2,)})
LABELS = Labels(("cat", "dog, \n big", "bird"), ("n1", "n2", "n3"))
BEGUN = {"command": "test", "model": "m"}

NO_PYARROW = pytest.mark.skipif(not find_spec("pyarrow"), reason="pyarrow (extra: parquet) is not installed")
ENDINGS = [pytest.param(ending, marks=NO_PYARROW if ending == ".parquet" else ()) for ending in outputs.FORMATS]


def answer(source):
    """What stands for a network: values that tell the content, or an error."""
    try:
        data = source.open().read() if hasattr(source, "open") and not isinstance(source, Path) else Path(source).read_bytes()
    except lcnet.ImageError as error:
        return None, error
    except OSError:
        return None, lcnet.ImageError(f"{source}: there is no such file")
    if data.startswith(b"bad"):
        return None, lcnet.ImageError(f"{source}: it is\nbroken")
    return np.array([len(data), int.from_bytes(data[:2], "big")], np.float32), None


def run(path, sources, rows=ROWS, begun_with=BEGUN, stop=None, each=None, **options):
    """One update; returns it. stop: raise this after the first answer."""
    with Update(path, rows, begun_with, **options) as output:
        for source in output.left(iter(sources)):
            value, error = answer(source)
            output.write(source, value, error, 0.5)
            if each:
                each(source)
            if stop:
                raise stop
    return output


def table(path, rows=ROWS):
    """What a file holds, by public readers: name to list of values, or the error."""
    ending, found = path.suffix, []
    if ending == ".csv":
        with open(path, newline="", encoding="utf-8") as file:
            found = [(r[0], r[-2] or [float(v) for v in r[1:-2]]) for r in list(csv.reader(file))[1:]]
    elif ending in (".json", ".jsonl"):
        text = path.read_text("utf-8")
        members = json.loads(text) if ending == ".json" else [json.loads(line) for line in text.split("\n")[:-1]]
        found = [(m["file"], m["error"] or m["embeddings"]) for m in members]
    elif ending == ".npz":
        saved = np.load(path)
        assert len(saved["milliseconds"]) == len(saved["paths"]) == len(saved["embeddings"])
        found = list(zip(saved["paths"].tolist(), saved["embeddings"].tolist(), strict=True))
        found += list(zip(saved["error_paths"].tolist(), saved["errors"].tolist(), strict=True))
    else:
        import pyarrow.parquet

        found = [(r["file"], r["error"] or r["embeddings"]) for r in pyarrow.parquet.read_table(path).to_pylist()]
    return sorted((name, value if isinstance(value, str) else list(map(float, value))) for name, value in found)


def expected(sources):
    found = []
    for source in sources:
        value, error = answer(source)
        found.append((shown(source), "it is\\nbroken" if error else value.tolist()))
    return sorted(found)


class Folder:
    """Pictures that come, go and change, by chance."""

    def __init__(self, path, seed=0):
        self.path, self.chance, self.clock = path, random.Random(seed), 10**18
        path.mkdir()

    def put(self, name, data):
        """Every change has another time, and not always a later one: clocks go backwards."""
        target = os.path.join(os.fsencode(self.path), name)
        with open(target, "wb") as file:
            file.write(data)
        self.clock += self.chance.choice([-(10**12), 1, 10**9])
        os.utime(target, ns=(self.clock, self.clock))

    def change(self):
        names = [b"%02d.png" % i for i in range(8)] + [b'a\n,".png', b"caf\xe9.png", b"=1.png"]
        for name in self.chance.sample(names, 4):
            target = os.path.join(os.fsencode(self.path), name)
            if os.path.exists(target) and self.chance.random() < 0.4:
                os.remove(target)
            else:
                self.put(name, self.chance.choice([b"bad", b"%c%c" % (self.chance.randrange(256), 7), b"\1\2longer"]))

    def sources(self):
        return list(find(str(self.path)))
