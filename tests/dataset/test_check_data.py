"""`lcnet check-data`: every finding, its level, and what is printed."""

import io
import json
import os

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled import animals, npy, write, write_shard
from pictures import encoded, picture
from pictures import png as raw_png
from PIL import Image

from lcnet.cli.check_data import check_data
from lcnet.dataset import open_dataset
from lcnet.dataset.check import check
from lcnet.dataset.look import CMYK, DEEP, FRAMES, PLAIN, ROTATED, SMALL, TRANSPARENT, look
from lcnet.dataset.near import LIMIT, near_groups
from lcnet.dataset.parallel import in_order


def photo(seed, size=96):
    """A picture with large soft shapes, as photographs have: uint8 [size,size,3]."""
    grid = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(grid).resize((size, size), Image.Resampling.BICUBIC))


def run(*arguments, code=0):
    result = CliRunner().invoke(check_data, [str(a) for a in arguments])
    assert result.exit_code == code, result.output + str(result.exception)
    return result.stdout


def report(path):
    return {finding.kind: finding for finding in check(open_dataset(path)).findings}


@pytest.fixture
def clean(tmp_path):
    """Two classes of ten large pictures that have nothing to do with each other."""
    files = {
        f"{c}/{i}.jpg": encoded(photo(seed), "JPEG")
        for seed, (c, i) in enumerate((c, i) for c in ("cat", "dog") for i in range(10))
    }
    return write(tmp_path / "data", files)


def test_nothing_is_found(clean):
    assert check(open_dataset(clean)).findings == []
    out = run(clean)
    assert "train    20 pictures\nclasses  2, of 10 to 10 pictures in train" in out and "nothing was found" in out
    found = json.loads(run(clean, "--format", "json"))
    assert found == {
        "pictures": {"train": 20},
        "classes": [{"name": "cat", "train": 10}, {"name": "dog", "train": 10}],
        "multi_label": False,
        "findings": [],
        "stops_training": False,
    }


def test_unreadable_pictures(clean):
    whole = (clean / "cat/0.jpg").read_bytes()
    bad = {"cat/cut.jpg": whole[: len(whole) // 2], "cat/empty.png": b"", "dog/text.png": "hello", "dog/a.npy": b"\x93NUMPY"}
    write(clean, bad)
    (clean / "dog/broken.jpg").symlink_to("nowhere.jpg")
    found = report(clean)
    assert list(found) == ["unreadable"] and found["unreadable"].level == "error"
    reasons = {os.path.basename(item["file"]): item["reason"] for item in found["unreadable"].items}
    assert set(reasons) == {"cut.jpg", "empty.png", "text.png", "a.npy", "broken.jpg"}
    assert "cut short" in reasons["cut.jpg"] and "0 bytes" in reasons["empty.png"]
    assert reasons["broken.jpg"].startswith("there is no such file")
    out = run(clean, code=1)
    assert "error: pictures that cannot be read: 5" in out and "cut.jpg: it is damaged or cut short" in out
    assert json.loads(run(clean, "-f", "json", code=1))["stops_training"]


def jpeg(image, **options):
    return encoded(image, "JPEG", **options)


def oriented(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def cases():
    rgb = Image.fromarray(photo(1))
    grey = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
    gif, apng = io.BytesIO(), io.BytesIO()
    frames = [Image.fromarray(photo(i)) for i in (1, 2)]
    frames[0].save(gif, "GIF", save_all=True, append_images=frames[1:])
    frames[0].save(apng, "PNG", save_all=True, append_images=frames[1:])
    clear = rgb.convert("P")
    return [
        (jpeg(rgb), 0),
        (encoded(rgb, "PNG"), 0),
        (encoded(Image.fromarray(grey), "PNG"), DEEP),
        (raw_png(np.stack([grey] * 3, 2), 16, 2), DEEP),
        (encoded(Image.fromarray(grey), "TIFF"), DEEP),
        (encoded(Image.fromarray(photo(1)[:, :, 0].astype(np.float32)), "TIFF"), DEEP),
        (jpeg(rgb.convert("CMYK")), CMYK),
        (jpeg(rgb, exif=oriented(6)), ROTATED),
        (jpeg(rgb, exif=oriented(1)), 0),
        (encoded(rgb.convert("RGBA"), "PNG"), TRANSPARENT),
        (encoded(clear, "PNG", transparency=3), TRANSPARENT),
        (encoded(rgb, "PNG", transparency=(1, 2, 3)), TRANSPARENT),
        (gif.getvalue(), FRAMES),
        (apng.getvalue(), FRAMES),
        (encoded(frames[0], "GIF"), 0),
        (encoded(rgb.resize((31, 90)), "PNG"), SMALL),
        (encoded(rgb.resize((32, 32)), "PNG"), 0),
        (encoded(Image.new("RGB", (64, 64), "teal"), "PNG"), PLAIN),
        (npy(np.dstack([photo(1), photo(2)])), 0),
        (npy(photo(1)[:20]), SMALL),
        (jpeg(rgb.convert("CMYK"), exif=oriented(3)), CMYK | ROTATED),
    ]


@pytest.mark.parametrize("number", range(21))
def test_traits(number):
    data, traits = cases()[number]
    seen = look(data)
    assert not seen.error and seen.traits == traits


def test_a_damaged_exif_block_is_none():
    data = jpeg(Image.fromarray(photo(1)), exif=oriented(6)).replace(b"Exif\0\0MM\0*", b"Exif\0\0XX\0*")
    assert look(data).traits == 0


def test_traits_are_remarks(clean):
    write(
        clean,
        {
            "cat/x.png": encoded(Image.fromarray(photo(50)).convert("RGBA"), "PNG"),
            "dog/y.jpg": jpeg(Image.fromarray(photo(51)).convert("CMYK")),
            "dog/z.png": encoded(photo(52)[:20], "PNG"),
        },
    )
    found = report(clean)
    assert {kind: finding.level for kind, finding in found.items()} == dict.fromkeys(["cmyk", "transparent", "tiny"], "remark")
    assert found["tiny"].items == [{"file": f"{clean}/dog/z.png", "part": "train", "labels": ["dog"]}]
    assert "remark: CMYK pictures" in run(clean)


def split_clean(clean):
    """The same in parts."""
    data = clean.parent / "parts"
    for part, rows in (("train", range(10)), ("val", range(2))):
        for c in ("cat", "dog"):
            for i in rows:
                seed = 100 * (part == "val") + 20 * (c == "dog") + i
                write(data, {f"{part}/{c}/{i}.jpg": jpeg(photo(seed))})
    return data


def names(finding):
    return [
        sorted(p["file"].rpartition("data/")[2].rpartition("parts/")[2] for p in item["pictures"]) for item in finding.items
    ]


def test_copies(clean):
    write(clean, {"cat/copy.jpg": (clean / "cat/3.jpg").read_bytes(), "cat/copy2.png": (clean / "cat/3.jpg").read_bytes()})
    found = report(clean)
    assert list(found) == ["copies"] and found["copies"].level == "remark"
    assert names(found["copies"]) == [["cat/3.jpg", "cat/copy.jpg", "cat/copy2.png"]]


def test_copies_with_other_labels_and_in_other_parts(clean):
    data = split_clean(clean)
    train = {p.name: p.read_bytes() for p in (data / "train/cat").iterdir()}
    write(data, {"train/dog/x.jpg": train["0.jpg"], "val/cat/y.jpg": train["1.jpg"], "val/dog/z.jpg": train["2.jpg"]})
    found = report(data)
    assert {kind: finding.level for kind, finding in found.items()} == {"copies-labels": "warning", "copies-parts": "warning"}
    assert names(found["copies-labels"]) == [["train/cat/0.jpg", "train/dog/x.jpg"], ["train/cat/2.jpg", "val/dog/z.jpg"]]
    assert names(found["copies-parts"]) == [["train/cat/1.jpg", "val/cat/y.jpg"], ["train/cat/2.jpg", "val/dog/z.jpg"]]
    out = run(data)
    assert "warning: copies of one picture with different labels: 2" in out
    assert "train/cat/0.jpg (cat)  =  " in out and "train/dog/x.jpg (dog)" in out


def test_near_copies(clean):
    data = split_clean(clean)
    near = Image.fromarray(photo(3, 200))
    write(
        data,
        {
            "train/cat/near.jpg": jpeg(near, quality=40),
            "train/dog/near.png": encoded(near, "PNG"),
            "val/cat/near.webp": encoded(Image.fromarray(photo(22)).resize((70, 70)), "WEBP"),
        },
    )
    found = report(data)
    assert {kind: f.level for kind, f in found.items()} == {"near-copies-labels": "warning", "near-copies-parts": "warning"}
    assert names(found["near-copies-labels"])[0] == ["train/cat/3.jpg", "train/cat/near.jpg", "train/dog/near.png"]
    assert names(found["near-copies-parts"]) == [["train/dog/2.jpg", "val/cat/near.webp"]]


def test_plain_pictures_are_no_near_copies(clean):
    for i, colour in enumerate(["red", "blue", "white", "black"]):
        write(clean, {f"cat/plain{i}.png": encoded(Image.new("RGB", (64, 64), colour), "PNG")})
    assert report(clean) == {}


def test_labels(tmp_path):
    files = {f"{c}/{c}{i}.jpg": jpeg(photo(100 * n + i)) for c, n in (("hot dog", 10), ("Hot-Dog", 12)) for i in range(n)}
    files |= {f"few/{i}.jpg": jpeg(photo(i)) for i in range(1)}
    found = report(write(tmp_path, files))
    levels = {kind: finding.level for kind, finding in found.items() if "copies" not in kind}
    assert levels == {"few": "warning", "alike": "warning", "uneven": "remark"}
    assert found["alike"].items == [{"names": ["Hot-Dog", "hot dog"]}]
    assert found["few"].items == [{"name": "few", "train": 1}]
    assert found["uneven"].items == [{"name": "Hot-Dog", "train": 12}, {"name": "few", "train": 1}]
    assert "'Hot-Dog', 'hot dog'" in run(tmp_path) and "'few': 1 in train" in run(tmp_path)


def test_classes_that_val_lacks(clean):
    data = split_clean(clean)
    for path in (data / "val/dog").iterdir():
        path.unlink()
    assert report(data)["absent-val"].items == [{"name": "dog", "train": 10, "val": 0}]


def test_several_labels(tmp_path):
    one, two = jpeg(photo(1)), jpeg(photo(2))
    labelled = [("a", one, ["x", "y"]), ("b", one, ["x"]), ("c", two, []), ("d", two, [])]
    write_shard(tmp_path / "x.tar", [{f"{name}.jpg": data, f"{name}.json": label} for name, data, label in labelled])
    found = report(tmp_path)
    assert list(found) == ["copies-labels", "few", "copies"]
    assert [p["labels"] for p in found["copies-labels"].items[0]["pictures"]] == [["x", "y"], ["x"]]


def test_all_pictures_unreadable(tmp_path):
    write(tmp_path, {"cat/a.png": b"x", "dog/a.png": b"x"})
    assert len(report(tmp_path)["unreadable"].items) == 2


def test_a_long_list_is_cut_in_a_table_only(clean):
    write(clean, {f"cat/bad{i}.png": b"%d" % i for i in range(8)})
    assert "... and 3 more" in run(clean, code=1)
    assert len(json.loads(run(clean, "-f", "json", code=1))["findings"][0]["items"]) == 8


def test_output(clean, tmp_path):
    assert run(clean, "--format", "json", "--output", tmp_path / "r.json") == ""
    assert json.loads((tmp_path / "r.json").read_text())["pictures"] == {"train": 20}
    assert run(clean, "-o", tmp_path / "r.txt") == "" and "nothing was found" in (tmp_path / "r.txt").read_text()


def test_names_of_any_bytes(clean):
    odd = os.fsdecode(b"\xff\x1b[31m\n.png")
    write(clean, {f"cat/{odd}": b"x"})
    out = run(clean, code=1)
    assert "\x1b" not in out and "\\xff" in out
    assert json.loads(run(clean, "-f", "json", code=1))["findings"][0]["items"][0]["file"].endswith("\\xff\x1b[31m\n.png")


def test_data_that_cannot_be_opened(tmp_path):
    result = CliRunner().invoke(check_data, [str(tmp_path)])
    assert result.exit_code == 1 and "holds no pictures" in str(result.exception)


def test_progress_counts_every_picture(tmp_path):
    calls = []
    check(open_dataset(animals(tmp_path)), lambda: calls.append(1), workers=3)
    assert len(calls) == 12


# The search for near hashes


def brute(codes):
    """Groups through chains of hashes that differ in at most LIMIT bits."""
    bits = np.unpackbits(codes, axis=1).astype(int)
    near = (bits[:, None] != bits[None]).sum(2) <= LIMIT
    group = np.arange(len(codes))
    for _ in codes:
        group = np.array([group[row].min() for row in near])
    return group


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 60), st.integers(1, 8), st.integers(0, 9))
def test_near_groups_are_those_of_all_pairs(seed, count, centres, flips):
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (centres, 128))[rng.integers(0, centres, count)]
    for row in bits:
        row[rng.choice(128, flips, replace=False)] ^= 1
    codes = np.packbits(bits.astype(np.uint8), axis=1).reshape(count, 16)
    assert near_groups(codes).tolist() == brute(codes).tolist()


def test_exactly_the_limit():
    codes = np.zeros((3, 16), np.uint8)
    codes[1, : LIMIT * 2 : 2] = 1  # one bit in each of as many words
    codes[2, : LIMIT * 2 : 2] = 128
    codes[2, 15] = 1
    assert near_groups(codes).tolist() == [0, 0, 2]


def test_many_hashes_and_many_that_are_alike(rng):
    codes = rng.integers(0, 256, (10_000, 16), dtype=np.uint8)
    codes[6_000:6_400, :13] = 7
    codes[9_999] = codes[5] ^ np.eye(16, dtype=np.uint8)[3]
    groups = near_groups(codes)
    assert groups[9_999] == 5 and (groups[:6_000] == np.arange(6_000)).all()


# The threads


def test_results_come_in_order_and_only_a_few_ahead():
    started = []

    def work(i):
        started.append(i)
        return i * i

    results = in_order(work, range(1000), 3)
    assert next(results) == 0 and len(started) <= 12
    assert list(results) == [i * i for i in range(1, 1000)]


def test_an_error_comes_in_its_place():
    results = in_order(lambda i: 1 // (3 - i), range(100), 2)
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_small_block_pictures_differ():
    codes = {look(encoded(picture(height=48, width=48, seed=seed), "PNG")).code for seed in range(5)}
    assert len(codes) == 5
