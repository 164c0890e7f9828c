"""What `lcnet probe` gains: on digits, on classes that its base never saw, by crops, by a class added; and how long it takes.

DATA is cifar10-subset.zip. Every other class of it trains a base network, the rest are probed, so that the base has never
seen them; `--base FILE` takes a base that was trained before (`--keep-base FILE` keeps it), which
otherwise takes five minutes more. Parts, with nothing cached:

digits   scikit-learn's digits with the bundled network, on their test pictures
speed    1,000 JPEG files of 320 x 240 through lcnet_050 at 224, to the model and with intervals
unseen   5, 20 and 100 pictures a class of the five classes, several draws each: the probe, LogisticRegression on the same
         base's embeddings by hand, and on some draws `lcnet train --recipe finetune`, with seconds
crops    the same and digits with 5 and 20, without crops and with them
added    the fifth class added to a probe of four, against a probe of all five

Accuracies are shares of 2,500 test pictures, 359 of digits. Prints a line a part; -o FILE keeps the numbers.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import lcnet
from lcnet import hub, modelfile, probe
from lcnet.bench import machine
from lcnet.dataset import Dataset, open_dataset
from lcnet.evaluate import evaluate

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from digits import write_digits

BUNDLED = "lcnet_050.cifar10"
SIZES = (5, 20, 100)  # pictures a class
OFTEN = {5: 3}  # times as many draws, as fewer pictures differ more
EPOCHS = 20
Row = dict[str, Any]


def lay_out(data: Path, folder: Path) -> tuple[Path, Path]:
    """The classes in turn as folders below `base` and `rest`."""
    with zipfile.ZipFile(data) as archive:
        names = [name for name in archive.namelist() if name.count("/") == 2 and not name.endswith("/")]
        classes = sorted({name.split("/")[1] for name in names})
        for name in names:
            target = folder / ("base" if classes.index(name.split("/")[1]) % 2 == 0 else "rest") / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))
    return folder / "base", folder / "rest"


def trained(pictures: Path, folder: Path) -> Path:
    """A base of the classes that are not probed."""
    options = ["--model", "lcnet_050", "--recipe", "quick", "--input-size", "64x64", "--epochs", str(EPOCHS)]
    command = [sys.executable, "-m", "lcnet", "train", str(pictures), "-o", str(folder / "run"), *options]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "run" / "model.safetensors"


def drawn(pictures: Dataset, a_class: int, seed: int, folder: Path, classes: tuple[str, ...] | None = None) -> Path:
    """So many pictures of each class in folders."""
    for k, name in enumerate(pictures.classes):
        if classes is None or name in classes:
            (folder / name).mkdir(parents=True)
            rows = np.flatnonzero(pictures.targets == k)
            for i in np.random.default_rng([seed, k]).choice(rows, min(a_class, len(rows)), replace=False):
                (folder / name / Path(pictures.names[i]).name).write_bytes(pictures.read(int(i)))
    return folder


def accuracy(model: lcnet.Classifier, test: Dataset) -> float:
    """Top-1."""
    return evaluate(model, test).summary["top1"].value


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came of it."""
    started = time.perf_counter()
    made = work()
    return round(time.perf_counter() - started, 2), made


@lru_cache
def embedded(base: str, pictures: Dataset) -> np.ndarray:
    """The embeddings of all pictures; of those that many draws are measured on once."""
    files = (pictures.read(i) for i in range(len(pictures)))
    return np.stack([item.value for item in lcnet.load(base).stream(files, "embeddings")])


def by_hand(base: str, folder: Path, test: Dataset) -> tuple[float, float]:
    """Embeddings and scikit-learn's LogisticRegression as anybody would: seconds and accuracy."""
    from sklearn.linear_model import LogisticRegression

    pictures = open_dataset(folder).train
    seconds, fitted = timed(lambda: LogisticRegression(max_iter=1000).fit(embedded(base, pictures), pictures.targets))
    said = np.array(pictures.classes)[fitted.predict(embedded(base, test))]
    return seconds, float((said == np.array(test.classes)[test.targets]).mean())


def tuned(base: str, folder: Path, test: Dataset, out: Path) -> tuple[float, float]:
    """The recipe `finetune`: seconds and accuracy."""
    command = [sys.executable, "-m", "lcnet", "train", str(folder), "-o", str(out), "-m", base, "--recipe", "finetune"]
    seconds, _ = timed(lambda: subprocess.run(command, check=True, capture_output=True))
    return seconds, accuracy(lcnet.load(out / "model.safetensors"), test)


def probed(base: str, folder: Path, test: Dataset, **options: Any) -> tuple[float, float, Row]:
    """The probe to its model file: seconds, accuracy, and what it says of itself."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "model.safetensors"
        work = lambda: probe.fit(folder, base, path, cache=None, intervals=False, **options)  # noqa: E731
        seconds, made = timed(work)
        return seconds, accuracy(lcnet.load(path), test), made.report


def digits(folder: Path) -> Row:
    """The digits example, intervals and all."""
    write_digits(folder / "digits")
    path = folder / "digits.safetensors"
    seconds, made = timed(lambda: probe.fit(folder / "digits", BUNDLED, path, cache=None))
    parts = open_dataset(folder / "digits")
    assert parts.test is not None
    _, hand = by_hand(BUNDLED, folder / "digits" / "train", parts.test)
    report = made.report
    chosen = {key: report[key] for key in ("classifier_input", "measured", "test", "curve")}
    sizes = {"bytes": path.stat().st_size, "base_bytes": hub.locate(BUNDLED).path.stat().st_size}
    return {"seconds": seconds, "by_hand": round(hand, 4), "parts": report["seconds"], **chosen, **sizes}


def speed(pictures: Dataset, folder: Path) -> Row:
    """1,000 larger pictures of ten classes, and a base that takes them at 224."""
    for i in range(1000):
        small = Image.open(io.BytesIO(pictures.read(i * len(pictures) // 1000))).convert("RGB")
        noise = np.random.default_rng(i).normal(0, 8, (240, 320, 3))
        large = np.clip(np.asarray(small.resize((320, 240)), np.float32) + noise, 0, 255).astype(np.uint8)
        target = folder / "large" / f"class {i % 10}" / f"{i}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(large).save(target, quality=88)
    read = modelfile.read(hub.locate(BUNDLED).path)
    preprocessing = replace(read.config.preprocessing, input_size=(3, 224, 224))
    base = folder / "base224.safetensors"
    modelfile.write(base, replace(read, config=replace(read.config, preprocessing=preprocessing)))
    out = folder / "large.safetensors"
    to_model, _ = timed(lambda: probe.fit(folder / "large", base, out, cache=None, intervals=False, overwrite=True))
    cache = folder / "cache"
    whole, made = timed(lambda: probe.fit(folder / "large", base, out, cache=cache, overwrite=True))
    again, _ = timed(lambda: probe.fit(folder / "large", base, out, cache=cache, intervals=False, overwrite=True))
    return {"pictures": 1000, "to_model": to_model, "with_intervals": whole, "cached": again, "parts": made.report["seconds"]}


def unseen(base: str, parts: Any, folder: Path, draws: int, tunings: int) -> Iterator[Row]:
    """Rows of one draw each."""
    for a_class in SIZES:
        for draw in range(draws * OFTEN.get(a_class, 1)):
            place = drawn(parts.train, a_class, draw, folder / f"{a_class}-{draw}")
            seconds, right, report = probed(base, place, parts.test)
            hand_seconds, hand = by_hand(base, place, parts.test)
            row = {"a_class": a_class, "draw": draw, "probe": right, "seconds": seconds, "by_hand": hand}
            row |= {"hand_seconds": hand_seconds, "read": report["classifier_input"]}
            if draw < tunings:
                row["finetune_seconds"], row["finetune"] = tuned(base, place, parts.test, folder / f"run-{a_class}-{draw}")
            yield row


def crops(base: str, parts: Any, folder: Path, name: str, draws: int) -> Iterator[Row]:
    """With few pictures: none and three of each."""
    for a_class in SIZES[:2]:
        for draw in range(draws * OFTEN.get(a_class, 1)):
            place = drawn(parts.train, a_class, draw, folder / f"{name}-crops-{a_class}-{draw}")
            without, with_ = (probed(base, place, parts.test, views=n)[1] for n in (0, 3))
            yield {"data": name, "a_class": a_class, "draw": draw, "without": without, "with": with_}


def added(base: str, parts: Any, folder: Path, name: str) -> Iterator[Row]:
    """Each of five classes added to a probe of the others, which are read again for the comparison only."""
    for draw, new in enumerate(parts.train.classes[:5]):
        others = tuple(c for c in parts.train.classes if c != new)
        whole = drawn(parts.train, 100, draw, folder / f"{name}-all-{draw}")
        few = drawn(parts.train, 100, draw, folder / f"{name}-few-{draw}", others)
        path, out = folder / f"{name}-{draw}.safetensors", folder / f"{name}-{draw}-more.safetensors"
        probe.fit(few, base, path, cache=None, intervals=False)
        seconds, made = timed(lambda: probe.add_class(path, new, whole / new, out, cache=None))  # noqa: B023
        row = {"data": name, "class": new, "added": accuracy(lcnet.load(out), parts.test), "seconds": seconds}
        told = {key: made.report[key] for key in ("recall", "others_before", "others_after")}
        yield row | {"all": probed(base, whole, parts.test)[1]} | told


def paired(rows: list[Row], one: str, other: str) -> Row:
    """Means of both, and the mean difference with its standard error over draws."""
    gain = np.array([row[one] - row[other] for row in rows])
    means = {name: round(float(np.mean([row[name] for row in rows])), 4) for name in (one, other)}
    error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
    return {**means, "gain": round(float(gain.mean()), 4), "standard_error": round(error, 4), "draws": len(rows)}


def summary(rows: list[Row]) -> list[Row]:
    """A line for each number of pictures a class."""
    out = []
    for a_class in SIZES:
        some = [row for row in rows if row["a_class"] == a_class]
        fine = [row for row in some if "finetune" in row]
        seconds = {name: round(float(np.median([r[name] for r in some])), 2) for name in ("seconds", "hand_seconds")}
        more = {name: round(float(np.mean([r[name] for r in fine])), 4) for name in ("finetune", "finetune_seconds")}
        out.append({"a_class": a_class, **paired(some, "probe", "by_hand"), **seconds, **more})
    return out


def crop_summary(rows: list[Row]) -> list[Row]:
    """A line for each set and number of pictures a class."""
    keys = list(dict.fromkeys((row["data"], row["a_class"]) for row in rows))
    return [
        {"data": d, "a_class": n, **paired([r for r in rows if (r["data"], r["a_class"]) == (d, n)], "with", "without")}
        for d, n in keys
    ]


def measure(data: Path, base: Path | None, keep: Path | None, draws: int, tunings: int, folder: Path) -> Row:
    """All parts."""
    base_pictures, rest = lay_out(data, folder)
    found: Row = {"machine": machine()}
    if base is None:
        found["base_seconds"], base = timed(lambda: trained(base_pictures, folder))
    if keep is not None:
        shutil.copyfile(base, keep)
    parts = open_dataset(rest)
    found["base"] = {"classes": list(open_dataset(base_pictures).train.classes), "epochs": EPOCHS}
    found["base"]["top1"] = round(accuracy(lcnet.load(base), open_dataset(base_pictures).test), 4)  # type: ignore[arg-type]
    for name, work in (
        ("digits", lambda: digits(folder)),
        ("speed", lambda: speed(parts.train, folder)),
        ("unseen", lambda: summary(list(unseen(str(base), parts, folder, draws, tunings)))),
        ("crops", lambda: crop_summary(_crops(str(base), parts, folder, draws))),
        ("added", lambda: _added(str(base), parts, folder)),
    ):
        found[name] = work()
        print(name, json.dumps(found[name]), flush=True)
    return found


def _crops(base: str, parts: Any, folder: Path, draws: int) -> list[Row]:
    return [
        *crops(base, parts, folder, "cifar10", draws),
        *crops(BUNDLED, open_dataset(folder / "digits"), folder, "digits", draws),
    ]


def _added(base: str, parts: Any, folder: Path) -> list[Row]:
    rows = [*added(base, parts, folder, "cifar10"), *added(BUNDLED, open_dataset(folder / "digits"), folder, "digits")]
    return [
        {
            "data": name,
            **paired([r for r in rows if r["data"] == name], "added", "all"),
            "rows": [r for r in rows if r["data"] == name],
        }
        for name in ("cifar10", "digits")
    ]


def main() -> None:
    """Read the arguments, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="cifar10-subset.zip")
    parser.add_argument("--base", type=Path, help="a network of the other classes that was trained before")
    parser.add_argument("--keep-base", type=Path, help="keep the one that is trained")
    parser.add_argument("--draws", type=int, default=6, help="of pictures to learn from, two at least")
    parser.add_argument("--tuned", type=int, default=2, help="of these, how many are fine-tuned too")
    parser.add_argument("-o", "--output", type=Path, help="where the numbers go")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(given.data, given.base, given.keep_base, given.draws, given.tuned, Path(folder))
        if given.output:
            given.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
