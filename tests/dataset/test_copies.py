"""The finder of copies: what is one and what is none, by kind; around whom groups stand; and that none of it is quadratic."""

import io
import os
import time
from functools import cache

import numpy as np
import pytest
from labelled import write
from pictures import encoded
from PIL import Image, ImageEnhance

from lcnet.dataset.copies import Copies
from lcnet.dataset.look import CODE, Look, look, look_whole, pixel_hash
from lcnet.dataset.near import cosines_above, hashes_within, linked, near_groups, scenes
from lcnet.dataset.scan import Scan
from lcnet.dataset.thumbs import THUMB, as_part, similarities
from lcnet.sources import find


@cache
def photo(seed, width=320, height=240):
    """Large soft shapes and small ones upon them, as photographs have them."""
    rng = np.random.default_rng(seed)
    soft = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    fine = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    return Image.blend(soft, fine, 0.4)


def saved(image, name="x.jpg", **options):
    kind = {"jpg": "JPEG", "png": "PNG", "gif": "GIF"}[name[-3:]]
    return encoded(image, kind, **options)


def groups_of(files, tmp_path, kinds=("bytes", "pixels", "near"), vectors=None, **options):
    """Groups as (kind, names), each around its first."""
    top = write(tmp_path / "data", files)
    scan = Scan(Copies(**options), workers=2)
    list(scan.run(find(top, recursive=True)))
    found = [
        (g.kind, [os.path.relpath(scan.sources[i].name, top) for i in g.members]) for g in scan.copies.groups(kinds, vectors)
    ]
    return found, scan


SAME = {
    "a smaller one": lambda image: saved(image.resize((160, 120))),
    "a poor one": lambda image: saved(image, quality=12),
    "a brighter one": lambda image: saved(ImageEnhance.Brightness(image).enhance(1.2)),
    "a grey one": lambda image: saved(image.convert("L")),
    "a mirrored one": lambda image: saved(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "a part": lambda image: saved(image.crop((6, 4, 314, 236))),
}


@pytest.mark.parametrize("kind", SAME)
def test_what_is_nearly_the_same(kind, tmp_path):
    files = {f"{i}.jpg": saved(photo(i), quality=98) for i in range(4)} | {"z.jpg": SAME[kind](photo(3))}
    found, _ = groups_of(files, tmp_path)
    assert found == [("near", ["3.jpg", "z.jpg"])]


def test_other_colours_are_another_picture(tmp_path):
    image = photo(1)
    red, green, blue = image.split()
    assert (
        groups_of({"a.png": saved(image, "a.png"), "b.png": saved(Image.merge("RGB", (blue, red, green)), "b.png")}, tmp_path)[
            0
        ]
        == []
    )


def test_the_three_kinds_are_told_apart_and_one_picture_stands_for_each(tmp_path):
    image = photo(2)
    exif = Image.Exif()
    exif[0x0112] = 3
    whole = saved(image, "a.png")
    turned = saved(image.rotate(180), "a.png", exif=exif)
    files = {
        "a.png": whole,
        "b.png": whole,
        "c.png": turned,
        "d/c.png": turned,
        "e.jpg": saved(image.resize((200, 150))),
        "f.png": saved(photo(9), "f.png"),
    }
    found, _ = groups_of(files, tmp_path)
    first, second = ("c.png", "a.png") if len(turned) > len(whole) else ("a.png", "c.png")
    assert sorted(found[:2]) == [("bytes", ["a.png", "b.png"]), ("bytes", ["c.png", "d/c.png"])]
    assert found[2:] == [("pixels", [first, second]), ("near", [first, "e.jpg"])]
    assert groups_of(files, tmp_path, kinds=("pixels",))[0] == [("pixels", [first, second])]


def test_the_one_with_most_pixels_is_kept_then_the_one_with_most_bytes(tmp_path):
    image = photo(4)
    files = {"a.jpg": saved(image.resize((160, 120))), "b.jpg": saved(image, quality=60), "c.jpg": saved(image, quality=95)}
    assert groups_of(files, tmp_path)[0] == [("near", ["c.jpg", "b.jpg", "a.jpg"])]


def test_films_and_what_is_transparent_are_not_the_same_pixels_as_what_is_not(tmp_path):
    image = photo(5).quantize(64)
    film, clear = io.BytesIO(), image.convert("RGBA")
    image.save(film, "GIF", save_all=True, append_images=[photo(6).quantize(64)])
    clear.putpixel((0, 0), (0, 0, 0, 0))
    files = {"a.gif": film.getvalue(), "b.png": saved(image, "b.png"), "c.png": saved(clear, "c.png")}
    assert {kind for kind, _ in groups_of(files, tmp_path)[0]} == {"near"}


def test_a_group_stands_around_one_and_a_chain_does_not(tmp_path, rng):
    """Steps of a slow change: neighbours are alike, the ends are not."""
    a, b = np.asarray(photo(10), np.float32), np.asarray(photo(11), np.float32)
    steps = np.linspace(0, 1, 12)
    copies = Copies()
    for i, t in enumerate(steps):
        copies.add(
            look(saved(Image.fromarray((a * (1 - t) + b * t).astype(np.uint8)), "x.png", compress_level=1))._replace(
                pixels=bytes([i]) * 32
            )
        )
    assert copies.chains(np.arange(12)).tolist() == [0] * 12
    stars = [group.members for group in copies.groups(("near",))]
    assert len(stars) > 1 and len({i for star in stars for i in star}) == sum(map(len, stars))
    thumbs = copies.thumbs.mapped()
    for star in stars:
        near = similarities(thumbs[[star[0]] * len(star)], thumbs[star])
        assert near.min() >= 0.93 and star[0] == min(star)


def test_against_what_is_there_already(tmp_path):
    """Known pictures are the ones to keep, whatever their size, and groups of them alone are none."""
    images = [photo(i) for i in range(4)]
    small = {f"{i}.png": saved(image.resize((120, 90)), "x.png") for i, image in enumerate(images)}
    there = write(tmp_path / "there", small | {"again.png": small["0.png"]})
    looks = {name: look_whole(io.BytesIO(data)) for name, data in small.items()}
    scan = Scan(Copies())
    scan.know(
        (str(there / name), looks[old].digest, looks[old].pixels, looks[old].code)
        for name, old in ((f, f.replace("again", "0")) for f in ("0.png", "1.png", "2.png", "3.png", "again.png"))
    )
    (there / "2.png").unlink()  # whose hash still says enough
    (there / "3.png").write_bytes(small["1.png"])
    new = {f"{i}.jpg": saved(image) for i, image in enumerate(images[:3])} | {"3.jpg": saved(images[3].crop((12, 9, 308, 231)))}
    list(scan.run(find(write(tmp_path / "new", new))))
    assert len(scan) == 4
    found = [[os.path.basename(scan.sources[i].name) for i in group.members] for group in scan.copies.groups()]
    assert sorted(found) == [["0.png", "0.jpg"], ["1.png", "1.jpg"], ["2.png", "2.jpg"]]  # hashes alone say less of the last


def test_embeddings_bring_more_candidates_and_pixels_decide(tmp_path):
    files = {f"{i}.jpg": saved(photo(i), quality=98) for i in range(4)} | {"z.jpg": saved(photo(2).crop((60, 30, 300, 210)))}
    vectors = np.eye(8, dtype=np.float16)[[0, 0, 1, 2, 1]]  # says that 0 and 1 are alike too
    assert groups_of(files, tmp_path)[0] == []
    assert groups_of(files, tmp_path, vectors=vectors)[0] == [("near", ["2.jpg", "z.jpg"])]


def test_cosines_are_those_of_all_pairs(rng):
    points = rng.normal(size=(700, 300)) @ rng.normal(size=(300, 300)) + 3 * rng.normal(size=(20, 300))[np.arange(700) % 20]
    vectors = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    some = np.arange(699, -1, -1)
    for least in (0.3, 0.6):
        near = cosines_above(vectors, some, least)
        exact = vectors[some] @ vectors[some].T
        found = np.concatenate([near(slice(i, i + 256), slice(None)) for i in range(0, 700, 256)])
        assert found[exact >= least].all() and not found[exact < least - 0.01].any()


def test_confirmed_pairs_alone_make_chains(rng):
    codes = rng.integers(0, 256, (300, 16), dtype=np.uint8)[np.arange(300) % 100]
    odd = (np.arange(300) // 100) % 2

    def same(left, right):
        return odd[left] == odd[right]

    wanted = [i if i < 200 else i - 200 for i in range(300)]
    assert linked(300, hashes_within(codes, 12), same).tolist() == wanted
    assert near_groups(codes, 12, same, codes).tolist() == wanted
    assert scenes(codes, 12).tolist() == [i % 100 for i in range(300)]


def test_one_part_of_another_is_found_wherever_it_lies():
    whole = look(saved(photo(20)))
    for box in ((0, 0, 200, 150), (120, 90, 320, 240), (40, 0, 300, 240)):
        part = look(saved(photo(20).crop(box)))
        a, b = (np.frombuffer(seen.thumb, np.uint8) for seen in (whole, part))
        shapes = np.array(whole.shape), np.array(part.shape)
        assert as_part(a, b, *shapes) > 0.93 and as_part(b, a, *shapes[::-1]) > 0.93
        other = np.frombuffer(look(saved(photo(21))).thumb, np.uint8)
        assert as_part(other, b, *shapes) < 0.9


@pytest.mark.parametrize("embeddings", [False, True])
def test_many_copies_of_one_picture_are_no_more_work_than_many_pictures(embeddings):
    count = 5000
    copies, rng = Copies(), np.random.default_rng(0)
    noisy = rng.integers(3, 253, THUMB, dtype=np.uint8) + rng.integers(-3, 4, (count, THUMB), dtype=np.int8).view(np.uint8)
    for i, thumb in enumerate(noisy):
        copies.add(
            Look(i.to_bytes(32, "big"), code=b"7" * CODE, thumb=thumb.tobytes(), shape=(9, 9), pixels=i.to_bytes(32, "little"))
        )
    vectors = np.full((count, 64), 1 / 8, np.float16) if embeddings else None
    started = time.process_time()
    (group,) = copies.groups(vectors=vectors)
    assert len(group.members) == count and time.process_time() - started < 3


def test_each_file_comes_once_and_what_cannot_be_read_is_named(tmp_path):
    same = saved(photo(1))
    name = os.fsdecode(b"x\n\xff\xe2\x80\xae.jpg")
    top = write(
        tmp_path / "data",
        {"a.jpg": same, name: same, "empty.jpg": b"", "cut.jpg": same[:500], "no.jpg": "text", "no2.jpg": "text"},
    )
    (top / "b.jpg").hardlink_to(top / "a.jpg")
    (top / "c.jpg").symlink_to("a.jpg")
    (top / "loop").symlink_to(".", target_is_directory=True)
    (top / "self.jpg").symlink_to("self.jpg")
    scan = Scan(Copies())
    list(scan.run(find([top, top / "a.jpg"], recursive=True)))
    assert scan.again == 3  # b, c, and a once more
    groups = [(g.kind, sorted(os.path.basename(scan.sources[i].name) for i in g.members)) for g in scan.copies.groups()]
    assert groups == [("bytes", ["a.jpg", name]), ("bytes", ["no.jpg", "no2.jpg"])]
    assert {os.path.basename(name) for name, _ in scan.problems} == {"empty.jpg", "cut.jpg", "no.jpg", "no2.jpg", "self.jpg"}
    reasons = {os.path.basename(name): why for name, why in scan.problems}
    assert "0 bytes" in reasons["empty.jpg"] and reasons["cut.jpg"].startswith("it is damaged")


def test_the_hash_of_pixels_tells_shapes_apart():
    pixels = np.arange(36, dtype=np.uint8)
    assert pixel_hash(pixels.reshape(3, 4, 3)) != pixel_hash(pixels.reshape(4, 3, 3))
    assert (
        pixel_hash(pixels.reshape(3, 4, 3)) == pixel_hash(pixels.reshape(3, 4, 3).copy())
        and len(pixel_hash(pixels[None, None])) == 32
    )


def test_what_differs_in_what_rgb_does_not_show_has_not_the_same_pixels(tmp_path):
    """White marks on nothing are all white upon white; and of 16 bits the lower ones are not seen."""
    marks = []
    for box in ((4, 4, 20, 20), (30, 4, 60, 60)):
        mark = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
        mark.paste((255, 255, 255, 255), box)
        marks.append(mark)
    deep = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
    files = {f"{i}.png": saved(mark, "x.png") for i, mark in enumerate(marks)}
    files |= {f"deep{i}.png": saved(Image.fromarray(deep + i), "x.png") for i in range(2)}
    assert groups_of(files, tmp_path, ("pixels",))[0] == []
    again = saved(marks[1], "x.png", compress_level=1)
    assert groups_of({"0.png": files["0.png"], "1.png": files["1.png"], "2.png": again}, tmp_path, ("pixels",))[0] == [
        ("pixels", ["2.png", "1.png"] if len(again) > len(files["1.png"]) else ["1.png", "2.png"])
    ]
