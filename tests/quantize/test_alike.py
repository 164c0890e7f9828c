"""Copies and near-copies count once, and none is on both sides: what calibrates a model does not judge it."""

import json
import shutil
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from quantized_models import save, small, trained

from lcnet import modelfile, quantize
from lcnet.cli import main
from lcnet.dataset.near import near_groups, near_to, scenes
from lcnet.errors import InputError
from lcnet.quantize import GateError, QuantizeOptions, acceptance, pictures
from lcnet.quantize.distinct import look_at
from lcnet.sources.formats import MAX_PIXELS
from lcnet.sources.found import Found

pytestmark = pytest.mark.slow

PREPROCESSING = small().config.preprocessing
MS = {"fp32_ms": 2.0, "int8_ms": 1.0}


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(acceptance, "latency", lambda exact, quantized, x: dict(MS))


def frames(folder, count, seed=0):
    """What a camera that shakes a little sees of one scene: moved by pixels, brighter or darker, with noise."""
    rng = np.random.default_rng(seed)
    scene = np.asarray(Image.open(save(folder.parent / f"scene{seed}", 1, seed, (70, 70)) / "000.png")).astype(float)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        y, x = rng.integers(0, 4, 2)
        frame = scene[y : y + 66, x : x + 66] * rng.uniform(0.95, 1.05) + rng.normal(0, 3, (66, 66, 3))
        Image.fromarray(np.clip(frame, 0, 255).astype(np.uint8)).save(folder / f"{seed}_{i:04}.jpg", quality=85)
    return folder


def copies(folder, count):
    """One picture by many names."""
    picture = save(folder, 1) / "000.png"
    for i in range(1, count):
        shutil.copy(picture, folder / f"copy{i:03}.png")
    return folder


def looks(folder):
    files = sorted(folder.iterdir())
    usable, found = look_at(files, PREPROCESSING, [], MAX_PIXELS)
    assert len(usable) == len(files)
    return found


def choose(data, images=128, force=False):
    return pictures.choose(data, images, PREPROCESSING, force=force)


# What is alike


def test_copies_have_equal_pixels_and_near_copies_equal_patterns(tmp_path):
    folder = save(tmp_path / "p", 3)
    with Image.open(folder / "000.png") as image:
        image.save(folder / "003.bmp")  # other bytes, the same pixels
        image.save(folder / "004.jpg", quality=90)
        image.resize((90, 90)).save(folder / "005.png")
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "006.png")
    found = looks(folder)
    assert found.groups(near=False).tolist() == [0, 1, 2, 0, 4, 5, 6]
    assert found.groups(near=True).tolist() == [0, 1, 2, 0, 0, 0, 6]
    first, rest = found.take([0]), found.take([1, 2, 3, 4, 5, 6])
    assert rest.like(first, near=False).tolist() == [False, False, True, False, False, False]
    assert rest.like(first, near=True).tolist() == [False, False, True, True, True, False]


def test_pictures_with_hardly_any_contrast_are_alike_only_if_equal(tmp_path, rng):
    """Their hashes are noise, or all zero."""
    for i in range(4):
        Image.fromarray(rng.integers(100, 104, (64, 64, 3)).astype(np.uint8)).save(tmp_path / f"{i}.png")
    shutil.copy(tmp_path / "1.png", tmp_path / "4.png")
    assert looks(tmp_path).groups(near=True).tolist() == [0, 1, 2, 3, 1]


def brute_force(codes, limit):
    bits = np.unpackbits(codes, axis=1).astype(int)
    near = (bits[:, None] != bits[None]).sum(2) <= limit
    group = np.arange(len(codes))
    for _ in codes:
        group = np.array([group[row].min() for row in near])
    return group


@pytest.mark.parametrize(("count", "spread"), [(40, 0.05), (300, 0.05), (300, 0.12), (600, 0.02), (300, 0.5)])
def test_scenes_are_what_comparing_each_with_each_finds(count, spread, rng):
    bits = rng.integers(0, 2, 128)[None] ^ (rng.random((count, 128)) < spread)
    codes = np.packbits(bits.astype(np.uint8), axis=1)
    np.testing.assert_array_equal(scenes(codes, 12), brute_force(codes, 12))
    np.testing.assert_array_equal(scenes(codes, 6), near_groups(codes))
    assert scenes(codes[:0], 12).tolist() == []


def test_near_to():
    code = np.zeros((1, 16), np.uint8)
    others = np.zeros((3, 16), np.uint8)
    others[0, 3], others[1, 3], others[2] = 0b111111, 0b1111111, 255
    assert near_to(others, code).tolist() == [True, False, False]
    assert near_to(others, code, 7).tolist() == [True, True, False]
    assert near_to(others, code[:0]).tolist() == [False] * 3


# Calibration and held-out pictures


def test_one_picture_by_48_names_is_one(tmp_path):
    with pytest.raises(InputError, match=r"distinct pictures: 1 of 48, expected at least 32") as caught:
        choose(copies(tmp_path / "data", 48))
    assert "--force" not in str(caught.value)  # it would not help: they are equal
    with pytest.raises(InputError, match=r"distinct pictures: 1 of 48"):
        choose(tmp_path / "data", force=True)


def test_frames_of_one_scene_are_one(tmp_path):
    with pytest.raises(InputError, match=r"distinct pictures: 1 of 80, expected at least 32.* with --force"):
        choose(frames(tmp_path / "data", 80))
    forced = choose(tmp_path / "data", force=True)
    assert (len(forced.calibrating), len(forced.held_out), forced.distinct) == (60, 20, 1)
    assert "distinct pictures: 1 of 80" in forced.reasons[0]


def test_frames_in_an_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "frames.zip", "w") as archive:
        for file in sorted(frames(tmp_path / "data", 40).iterdir()):
            archive.write(file, file.name)
    with pytest.raises(InputError, match=r"distinct pictures: 1 of 40"):
        choose(tmp_path / "frames.zip")


def test_of_what_is_alike_one_is_taken_and_is_on_one_side(tmp_path):
    """40 scenes, each five times in the same pixels and five times nearly: 40 pictures, no two of one scene."""
    folder = save(tmp_path / "data", 40)
    for file in sorted(folder.iterdir()):
        with Image.open(file) as image:
            for i in range(4):
                shutil.copy(file, folder / f"{file.stem}_{i}.png")
            for i in range(5):
                image.save(folder / f"{file.stem}_{i}.jpg", quality=80 + 3 * i)
    chosen = choose(folder)
    taken = [p.stem.partition("_")[0] for p in chosen.calibrating + chosen.held_out]
    assert sorted(taken) == [f"{i:03}" for i in range(40)]
    assert (len(chosen.calibrating), len(chosen.held_out), chosen.distinct) == (30, 10, 10)
    assert chosen.report == {"looked_at": 400, "distinct": 40, "left_out": 0, "problems": []}


def test_a_long_stream_is_looked_at_in_part(tmp_path):
    file = save(tmp_path, 1) / "000.png"
    with pytest.raises(InputError, match=r"^the pictures given: distinct pictures: 1 of 128"):
        choose((file for _ in range(5_000)), images=32)


def test_arrays_and_bytes_are_looked_at_too(tmp_path):
    files = sorted(save(tmp_path, 33).iterdir())
    mixed = [file.read_bytes() for file in files] + [np.asarray(Image.open(file)) for file in files]
    chosen = choose(mixed)
    assert chosen.report["looked_at"] == 66
    assert chosen.report["distinct"] == 33


# Labelled pictures


def labeled(folder, chosen, force=False):
    samples = [(Found(str(file), file.read_bytes), 0) for file in sorted(folder.rglob("*.*"))]
    return pictures.judged_by(samples, chosen, PREPROCESSING, MAX_PIXELS, force)


def test_labelled_pictures_like_calibration_ones_are_left_out_and_named(tmp_path):
    chosen = choose(save(tmp_path / "data", 40))
    save(tmp_path / "eval" / "cat", 10, seed=5)
    (tmp_path / "eval" / "dog").mkdir()
    shutil.copy(chosen.calibrating[0], tmp_path / "eval" / "dog" / "copied.png")
    with Image.open(chosen.calibrating[1]) as image:
        image.save(tmp_path / "eval" / "dog" / "again.jpg", quality=90)
    shutil.copy(tmp_path / "eval" / "cat" / "000.png", tmp_path / "eval" / "cat" / "twice.png")
    shutil.copy(chosen.held_out[0], tmp_path / "eval" / "dog" / "held_out.png")  # nothing was made with this one
    judged = labeled(tmp_path / "eval", chosen)
    assert len(judged.samples) == judged.distinct == 11
    assert (judged.report["copies"], judged.report["leaked"]) == (1, 2)
    assert sorted(name.rpartition("/")[2] for name in judged.report["leaks"]) == ["again.jpg", "copied.png"]
    assert judged.reasons == []


def test_labelled_pictures_that_are_too_few_without_copies(tmp_path):
    chosen = choose(save(tmp_path / "data", 40))
    copies(tmp_path / "eval" / "cat", 20)  # of the first calibration picture, or of a held-out one
    with pytest.raises(InputError, match=r"labelled data: distinct pictures: [01] of 20, expected at least 8"):
        labeled(tmp_path / "eval", chosen, force=True)
    scene = frames(tmp_path / "frames", 20, seed=9)
    shutil.copytree(scene, tmp_path / "more" / "cat")
    with pytest.raises(InputError, match=r"labelled data: distinct pictures: 1 of 20, expected at least 8.* with --force"):
        labeled(tmp_path / "more", chosen)
    forced = labeled(tmp_path / "more", chosen, force=True)
    assert (len(forced.samples), forced.distinct) == (20, 1)
    assert forced.reasons == [
        "labelled data, distinct pictures: 1 of 20, expected at least 8 (copies and near-copies count once)"
    ]


def test_near_copies_of_calibration_pictures_are_no_proof_even_if_forced(tmp_path):
    chosen = choose(save(tmp_path / "data", 40))
    (tmp_path / "eval" / "cat").mkdir(parents=True)
    for number, file in enumerate(chosen.calibrating[:20]):
        with Image.open(file) as image:
            image.save(tmp_path / "eval" / "cat" / f"{number:02}.jpg", quality=90)
    with pytest.raises(InputError, match=r"0 of 20, .* first of 20 .*00\.jpg: like a picture to calibrate on\. .*--force"):
        labeled(tmp_path / "eval", chosen)
    forced = labeled(tmp_path / "eval", chosen, force=True)
    assert (len(forced.samples), forced.distinct, forced.report["leaked"]) == (20, 0, 0)
    assert "0 of 20" in forced.reasons[0]


# The whole way


@pytest.mark.slow
def test_the_command_refuses_copies_and_forces_frames(tmp_path):
    model, target = tmp_path / "m.safetensors", tmp_path / "out.safetensors"
    modelfile.write(model, small())

    def command(*words):
        return CliRunner().invoke(main, ["quantize", str(model), "-o", str(target), *map(str, words)])

    copied = command("--data", copies(tmp_path / "copies", 48), "--force")
    assert (copied.exit_code, target.exists()) == (4, False)
    assert "distinct pictures: 1 of 48" in copied.output
    assert command("--data", frames(tmp_path / "frames", 48)).exit_code == 4
    forced = command("--data", tmp_path / "frames", "--force")
    assert forced.exit_code == 0, forced.output
    assert "48 looked at, 1 distinct" in forced.output
    assert "gate          failed: " in forced.output
    verdict = modelfile.read_config(target).quantization.verdict
    assert (verdict["passed"], verdict["distinct_images"], verdict["held_out"]["distinct"]) == (False, 1, 1)
    told = CliRunner().invoke(main, ["info", str(target)]).output
    assert "failed its gate on 12 pictures, 1 distinct, with answers of" in told


@pytest.mark.slow
def test_the_verdict_says_what_it_rests_on_and_names_no_picture(tmp_path):
    data = save(tmp_path / "data", 48)
    for number, name in enumerate(trained().config.labels.names):
        save(tmp_path / "eval" / name, 4, seed=20 + number)
    shutil.copytree(data, tmp_path / "eval" / "cat", dirs_exist_ok=True)
    outcome = quantize.quantize(small(), [data], tmp_path / "eval", QuantizeOptions(max_drop=50))
    found = outcome.report["evaluation"]
    assert found["leaked"] == 36
    assert len(found["leaks"]) == 5
    assert found["images"] == found["distinct"] == 9 * 4 + 12  # 4 of each class but the cats, which are the data's
    text = quantize.report.text(outcome.report)
    assert "not judged by 36 labelled pictures like those to calibrate on: " in text
    verdict = outcome.model.config.quantization.verdict
    assert verdict["evaluation"]["leaked"] == 36
    assert str(tmp_path) not in json.dumps(verdict, default=dict)


@pytest.mark.slow
def test_one_answer_for_all_is_refused(tmp_path, monkeypatch):
    model = small()
    weights = dict(model.weights)
    weights["classifier.bias"] = weights["classifier.bias"] + np.eye(10, dtype=np.float32)[4] * 1000
    always = modelfile.ModelFile(model.config, weights)
    with pytest.raises(GateError, match=r"judged by 10 pictures that fp32 all gives one class of 10"):
        quantize.quantize(always, [save(tmp_path, 40)])
