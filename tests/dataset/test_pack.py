"""`lcnet pack`: what is written, that it reads back the same, and what is refused."""

import io
import os
import tarfile
from zlib import crc32

import numpy as np
import pytest
from click.testing import CliRunner
from labelled import animals, npy, write, write_shard
from pictures import encoded, picture
from PIL import Image

from lcnet.cli.pack import Size, pack
from lcnet.dataset import array_of, open_dataset
from lcnet.dataset.pack import Watcher
from lcnet.dataset.pack import pack as write_pack
from lcnet.dataset.shrink import shrink
from lcnet.errors import ImageError, InputError
from lcnet.image import resize
from lcnet.image.pixels import decode

SMALL = ["--shorter", "24"]


def run(*arguments, code=0):
    result = CliRunner().invoke(pack, [str(a) for a in arguments])
    assert result.exit_code == code, result.output + str(result.exception)
    return result


def refused(*arguments):
    result = CliRunner().invoke(pack, [str(a) for a in arguments])
    assert isinstance(result.exception, (InputError, ImageError)), result.output + repr(result.exception)
    return str(result.exception)


@pytest.fixture
def data(tmp_path):
    """Pictures of 48 x 60 pixels in train and val."""
    files = {
        f"{part}/{c}/{i}.png": encoded(picture(height=48, width=60, seed=crc32(f"{part}{c}{i}".encode())), "PNG")
        for part in ("train", "val")
        for c in ("cat", "hot dog", "\u72ac")
        for i in range(4)
    }
    return write(tmp_path / "data", files)


def test_reads_back_the_same(data, tmp_path):
    out = run(data, tmp_path / "out", *SMALL).output
    assert "12 of train, 12 of val in 2 shards" in out
    assert sorted(os.listdir(tmp_path / "out")) == ["classes.txt", "train-000000.tar", "val-000000.tar"]
    before, after = open_dataset(data), open_dataset(tmp_path / "out")
    assert after.train.classes == before.train.classes == ("cat", "hot dog", "\u72ac") and after.test is None
    for a, b in zip(before.parts().values(), after.parts().values(), strict=True):
        assert (a.targets == b.targets).all()
        for i in range(len(a)):
            assert b.read(i) == encoded(resize(decode(a.read(i)), (24, 30), "bicubic"), "JPEG", quality=95)
    assert after.train.names[0] == f"{tmp_path}/out/train-000000.tar!/00000000.jpg"


def test_shards_of_a_size_and_the_same_bytes(data, tmp_path):
    for name, workers in (("a", 1), ("b", 4)):
        write_pack(open_dataset(data), tmp_path / name, shorter=24, shard_size=8000, workers=workers)
    files = sorted(os.listdir(tmp_path / "a"))
    assert files == sorted(os.listdir(tmp_path / "b")) and len(files) > 4
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        assert (tmp_path / "a" / name).stat().st_size <= 8000
    assert (open_dataset(tmp_path / "a").train.targets == open_dataset(data).train.targets).all()
    write_pack(open_dataset(data), tmp_path / "c", shorter=24, shard_size=1)
    assert len(os.listdir(tmp_path / "c")) == 25


def test_other_programs_read_the_shards(data, tmp_path):
    run(data, tmp_path / "out", *SMALL)
    with tarfile.open(tmp_path / "out/train-000000.tar", "r:") as archive:
        assert archive.getnames()[:4] == ["00000000.jpg", "00000000.cls", "00000001.jpg", "00000001.cls"]
        assert archive.extractfile("00000004.cls").read() == b"1"
        assert {(m.mtime, m.uid, m.mode, m.uname) for m in archive} == {(0, 0, 0o644, "")}
        image = Image.open(io.BytesIO(archive.extractfile("00000000.jpg").read()))
        assert image.size == (30, 24) and image.mode == "RGB"


def test_several_labels(tmp_path):
    pixels = [encoded(picture(seed=i), "PNG") for i in range(4)]
    labels = [["b", "a"], [], ["c"], ["a"]]
    write_shard(tmp_path / "x.tar", [{f"{i}.png": pixels[i], f"{i}.json": labels[i]} for i in range(4)])
    run(tmp_path / "x.tar", tmp_path / "out")
    before, after = open_dataset(tmp_path / "x.tar").train, open_dataset(tmp_path / "out").train
    assert after.multi_label and after.classes == before.classes and (after.targets == before.targets).all()


def test_odd_names_of_classes(tmp_path):
    odd = [" lead", "trail ", os.fsdecode(b"\xff"), "10", "9", "a,b"]
    write(tmp_path / "d", {f"{name}/x.png": i for i, name in enumerate(odd)})
    run(tmp_path / "d", tmp_path / "out")
    before, after = open_dataset(tmp_path / "d").train, open_dataset(tmp_path / "out").train
    assert after.classes == before.classes and after.targets.tolist() == before.targets.tolist()
    write(tmp_path / "e", {"a\nb/x.png": 1, "c/x.png": 2})
    assert r"'a\nb'" in refused(tmp_path / "e", tmp_path / "out2")


# One picture


def jpeg(height, width, **options):
    return encoded(picture(height=height, width=width), "JPEG", **options)


def oriented(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


@pytest.mark.parametrize("data", [jpeg(24, 36), jpeg(36, 24), jpeg(12, 12, quality=30), jpeg(24, 36, exif=oriented(1))])
def test_what_is_as_it_should_be_keeps_its_bytes(data):
    assert shrink(data, 24, 95) == (".jpg", data)


@pytest.mark.parametrize(
    "data",
    [
        jpeg(24, 36, progressive=True),
        jpeg(24, 36, exif=oriented(6)),
        encoded(picture(), "PNG"),
        encoded(Image.fromarray(picture()).convert("L"), "JPEG"),
        encoded(Image.fromarray(picture()).convert("CMYK"), "JPEG"),
    ],
)
def test_what_is_not_is_encoded_again(data):
    suffix, packed = shrink(data, 24, 95)
    assert suffix == ".jpg" and packed != data
    image = Image.open(io.BytesIO(packed))
    assert image.format == "JPEG" and image.mode == "RGB" and not image.info.get("progressive") and not image.getexif()
    assert image.size == ((24, 36) if b"Exif" in data[:40] else (36, 24))
    assert abs(np.asarray(image).astype(int) - decode(data)).mean() < 12


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(48, 72, (24, 36)), (72, 48, (36, 24)), (24, 12000, (24, 12000)), (120, 36, (80, 24)), (60, 60, (24, 24))],
)
def test_sizes(height, width, size):
    image = Image.open(io.BytesIO(shrink(encoded(picture(height=height, width=width), "PNG"), 24, 95)[1]))
    assert image.size[::-1] == size


def test_transparent_pictures_are_laid_on_white():
    clear = encoded(Image.new("RGBA", (30, 30), (0, 0, 0, 0)), "PNG")
    assert (decode(shrink(clear, 24, 95)[1]) == 255).all()


def test_arrays(rng):
    pixels = rng.integers(0, 256, (50, 40, 6), dtype=np.uint8)
    suffix, data = shrink(npy(pixels), 20, 95)
    assert suffix == ".npy" and (array_of(data) == resize(pixels, (25, 20))).all()
    assert shrink(npy(pixels), 40, 95)[1] == npy(pixels)


def test_quality_counts():
    photo = encoded(np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8), "PNG")
    assert len(shrink(photo, 40, 50)[1]) < len(shrink(photo, 40, 95)[1])


@pytest.mark.parametrize("data", [b"", b"text", jpeg(24, 36)[:-150], jpeg(240, 360)[:2000], npy(np.zeros(3))])
def test_what_cannot_be_read(data):
    with pytest.raises(ImageError, match=r"^it is"):
        shrink(data, 24, 95)


def test_a_picture_too_long_for_jpeg():
    long = encoded(Image.new("L", (65600, 2)), "PNG")
    with pytest.raises(ImageError, match="JPEG has at most"):
        shrink(long, 24, 95)


# What goes wrong


def test_unreadable_pictures(data, tmp_path):
    write(data, {"train/cat/bad.png": b"x", "val/cat/0.png": b"y"})
    message = refused(data, tmp_path / "out")
    assert "train/cat/bad.png: it is not a picture" in message and "--skip-unreadable" in message
    assert os.listdir(tmp_path) == ["data"]
    result = run(data, tmp_path / "out", "--skip-unreadable", code=1)
    assert "12 of train, 11 of val" in result.output and "train/cat/bad.png" in result.output
    assert "2 pictures could not be read and were left out" in result.output
    after = open_dataset(tmp_path / "out")
    assert after.val.targets.tolist() == [0] * 3 + [1] * 4 + [2] * 4
    assert list(after.train.names)[-1].endswith("00000011.jpg")


def test_parts_and_classes_that_are_gone(data, tmp_path):
    for path in (data / "train/cat").iterdir():
        path.write_bytes(b"x")
    assert "'cat' in val only" in refused(data, tmp_path / "out", "--skip-unreadable")
    for path in (data / "val").glob("*/*"):
        path.write_bytes(b"x")
    message = refused(data, tmp_path / "out", "--skip-unreadable")
    assert "no picture of val can be read" in message and ".tmp" not in message
    assert os.listdir(tmp_path) == ["data"]


def test_what_is_in_the_way(data, tmp_path):
    run(data, tmp_path / "out", *SMALL)
    assert "--overwrite" in refused(data, tmp_path / "out")
    before = (tmp_path / "out/train-000000.tar").read_bytes()
    run(data, tmp_path / "out", "--overwrite", "--shorter", "12")
    assert (tmp_path / "out/train-000000.tar").read_bytes() != before
    (tmp_path / "out/notes").write_text("mine")
    assert "it holds notes" in refused(data, tmp_path / "out", "--overwrite")
    (tmp_path / "file").write_text("mine")
    assert "it is no folder" in refused(data, tmp_path / "file", "--overwrite")
    (tmp_path / "link").symlink_to(tmp_path / "out")
    assert "it is no folder" in refused(data, tmp_path / "link", "--overwrite")
    assert "there is no folder" in refused(data, tmp_path / "no/out")
    assert "is inside" in refused(data, data / "train/packed")
    assert sorted(os.listdir(tmp_path)) == ["data", "file", "link", "out"]


def test_a_pack_can_replace_itself(data, tmp_path):
    run(data, tmp_path / "out", *SMALL)
    run(tmp_path / "out", tmp_path / "out", "--overwrite", "--shorter", "12")
    after = open_dataset(tmp_path / "out")
    assert decode(after.val.read(0)).shape == (12, 15, 3) and sorted(os.listdir(tmp_path)) == ["data", "out"]


def test_an_interrupted_pack_leaves_nothing(data, tmp_path):
    run(data, tmp_path / "out", *SMALL)
    before = (tmp_path / "out/val-000000.tar").read_bytes()

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pack(open_dataset(data), tmp_path / "out", overwrite=True, watcher=Watcher(stop))
    assert sorted(os.listdir(tmp_path)) == ["data", "out"]
    assert (tmp_path / "out/val-000000.tar").read_bytes() == before


@pytest.mark.parametrize("options", [{"shorter": 0}, {"quality": 101}, {"shard_size": 0}, {"shorter": 2.5}])
def test_refused_options(tmp_path, options):
    with pytest.raises(InputError, match=next(iter(options))):
        write_pack(open_dataset(animals(tmp_path / "d")), tmp_path / "out", **options)


@pytest.mark.parametrize(
    ("text", "size"), [("1000", 1000), ("2kB", 2000), ("1.5MiB", 3 << 19), ("1 GiB", 1 << 30), ("3GB", 3 * 10**9)]
)
def test_sizes_in_words(text, size):
    assert Size().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["x", "12parsec", "-1", "1mb", "1e9", ""])
def test_refused_sizes(data, tmp_path, text):
    assert "is no size" in run(data, tmp_path / "out", "--shard-size", text, code=2).output
