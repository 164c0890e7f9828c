"""Archives, as a hostile user would have packed them: every kind, every damage, nothing written, little held."""

import bz2
import gzip
import os
import stat
import struct
import sys
import tarfile
import threading
import tracemalloc
import zipfile

import pytest
from archived import write_tar, write_zip
from pictures import encoded, picture

import lcnet
from lcnet.sources import archives, find
from lcnet.text import shown

PNG = encoded(picture(), "PNG")
TARS = {"tar": "w", "tar.gz": "w:gz", "tgz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def error_of(found):
    with pytest.raises(lcnet.ImageError) as caught:
        found.open()
    assert str(caught.value).startswith(f"{found}: ")
    return str(caught.value).removeprefix(f"{found}: ")


@pytest.mark.parametrize("kind", ["zip", *TARS])
def test_pictures_are_read_in_place(tmp_path, kind):
    others = [encoded(picture(seed=i), "PNG") for i in range(3)]
    members = [
        ("b/x.png", others[0]),
        ("readme.txt", b"no"),
        ("a.png", others[1]),
        ("a.png", others[2]),
        ("b/.hidden.png", PNG),
        ("__MACOSX/._a.png", PNG),
        ("inner.zip", PNG),
    ]
    path = tmp_path / f"set.{kind}"
    write_zip(path, members) if kind == "zip" else write_tar(path, members, TARS[kind])
    found = list(find(path))
    assert [str(f) for f in found] == [f"{path}!/b/x.png", f"{path}!/a.png", f"{path}!/a.png"]  # a name may be there twice
    assert [f.open().read() for f in found] == others
    assert found[0].open().name == str(found[0])
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_lead_out_of_an_archive_lead_nowhere(tmp_path, kind):
    inside = tmp_path / "inside"
    inside.mkdir()
    members = [("../out.png", PNG), ("/tmp/absolute.png", PNG), ("a/../../b.png", PNG), ("C:\\x.png", PNG)]
    path = inside / f"x.{kind}"
    write_zip(path, members) if kind == "zip" else write_tar(path, members)
    found = list(find(path))
    assert all(f.open().read() == PNG for f in found) and len(found) == 4
    assert str(found[0]) == f"{path}!/../out.png"
    assert os.listdir(tmp_path) == ["inside"] and os.listdir(inside) == [path.name]


def test_a_member_of_a_zip_without_a_name_does_not_hide_the_rest(tmp_path):
    path = write_zip(tmp_path / "x.zip", [("NONE", b"x"), ("a.png", PNG)])
    path.write_bytes(path.read_bytes().replace(b"NONE", b"\0one"))  # zipfile reads up to the NUL
    assert [str(found) for found in find(path)] == [f"{path}!/a.png"]


def test_links_and_devices_in_a_tar_are_not_followed(tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(PNG)
    kinds = [
        special("soft.png", tarfile.SYMTYPE, str(secret)),
        special("hard.png", tarfile.LNKTYPE, "../secret.png"),
        special("char.png", tarfile.CHRTYPE),
        special("block.png", tarfile.BLKTYPE),
        special("fifo.png", tarfile.FIFOTYPE),
        special("folder.png", tarfile.DIRTYPE),
    ]
    found = list(find(write_tar(tmp_path / "x.tar", [*kinds, ("good.png", PNG)])))
    assert [error_of(f) for f in found[:2]] == ["a link in an archive is not followed"] * 2
    assert [error_of(f) for f in found[2:5]] == ["a device or pipe in an archive is not read"] * 3
    assert found[5].open().read() == PNG and len(found) == 6


def test_links_in_a_zip_are_not_followed(tmp_path):
    info = zipfile.ZipInfo("soft.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    (found,) = find(write_zip(tmp_path / "x.zip", [(info, "/etc/passwd")]))
    assert error_of(found) == "a link in an archive is not followed"


def test_an_encrypted_member_is_an_error(tmp_path):
    path = write_zip(tmp_path / "x.zip", [("a.png", PNG), ("b.png", PNG)])
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\1\2")
    data[entry + 8] |= 1  # the flag in the central directory
    data[6] |= 1
    path.write_bytes(data)
    first, second = find(path)
    assert "encrypted" in error_of(first) and second.open().read() == PNG


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_member_beyond_the_limit_is_an_error_and_the_rest_is_read(tmp_path, kind):
    members = [("bomb.png", PNG + bytes(3_000_000 - len(PNG))), ("good.png", PNG)]
    path = tmp_path / f"x.{kind}"
    write_zip(path, members) if kind == "zip" else write_tar(path, members, TARS[kind])
    bomb, good = find(path, max_member=1_000_000)
    assert "limit for a picture in an archive is 1000000" in error_of(bomb) and good.open().read() == PNG
    assert len(next(iter(find(path))).open().read()) == 3_000_000


def test_a_zip_that_lies_about_its_size_expands_to_little(tmp_path):
    path = write_zip(tmp_path / "x.zip", [("bomb.png", bytes(50_000_000))])
    data = path.read_bytes()
    true, small = struct.pack("<I", 50_000_000), struct.pack("<I", 1000)
    assert data.count(true) == 2
    path.write_bytes(data.replace(true, small))
    (found,) = find(path, max_member=1_000_000)
    tracemalloc.start()
    error_of(found)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_of_zip_that_expand_without_a_bound_are_refused(tmp_path, compression):
    (found,) = find(write_zip(tmp_path / "x.zip", [("a.png", PNG)], compression))
    assert "only deflated and stored" in error_of(found)


def pax(key, value):
    body = f" {key}={value}\n".encode()
    size = len(body)
    while len(str(size)) + len(body) != size:
        size = len(str(size)) + len(body)
    return str(size).encode() + body


def raw_header(name, size, kind=b"0"):
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def padded(data):
    return data + bytes(-len(data) % 512)


END = bytes(1024)


@pytest.mark.parametrize("kind", [b"x", b"g", b"L"])
def test_a_tar_header_that_claims_gigabytes_is_refused(tmp_path, kind):
    claimed = 50_000_000
    path = tmp_path / "x.tar.gz"
    path.write_bytes(
        gzip.compress(raw_header("a.png", 3) + padded(b"abc") + raw_header("h", claimed, kind) + bytes(claimed), 1)
    )
    tracemalloc.start()
    first, rest = find(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert first.open().read() == b"abc" and "too long" in error_of(rest) and peak < 10_000_000


def test_a_tar_whose_headers_lead_backwards_ends(tmp_path):
    good = raw_header("a.png", 3) + padded(b"abc")
    header = bytearray(raw_header("b.txt", 0))
    header[124:136] = tarfile.itn(-2048, 12, tarfile.GNU_FORMAT)
    header[148:156] = b"%06o\0 " % (256 + sum(header[:148]) + sum(header[156:]))
    path = tmp_path / "x.tar"
    path.write_bytes(good + bytes(header) + END)
    found = list(find(path))
    assert 2 <= len(found) <= 3 and found[0].open().read() == b"abc"
    assert "cannot be read to its end" in error_of(found[-1])


def test_a_tar_that_grows_without_end_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_RATIO", 20)  # the words are those of 200
    monkeypatch.setattr(archives, "MAX_MEMBER", 1_000_000)
    path = write_tar(tmp_path / "x.tar.gz", [("a.png", PNG), ("zeros.bin", bytes(5_000_000)), ("b.png", PNG)], "w:gz")
    first, rest = find(path, max_member=1_000_000)
    assert first.open().read() == PNG and "grows to more than 200 times" in error_of(rest)


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_tar_cut_short_anywhere_gives_what_was_whole_and_one_error(tmp_path, kind):
    path = write_tar(tmp_path / f"x.{kind}", [(f"{i}.png", os.urandom(700)) for i in range(4)], TARS[kind])
    whole = path.read_bytes()
    expected = [f.open().read() for f in find(path)]
    for end in range(0, min(len(whole), 6144) - 16, 211):  # bzip2 ends in 10 bytes without data, the others in fewer
        path.write_bytes(whole[:end])
        found = list(find(path))
        if kind == "tar" and end and not end % 2048 and end < 6144:
            continue  # between two members there is nothing to see
        assert "cannot be read to its end" in error_of(found[-1]), end
        assert [f.open().read() for f in found[:-1]] == expected[: len(found) - 1]


def test_a_damaged_header_in_a_tar_is_told(tmp_path):
    path = write_tar(tmp_path / "x.tar", [("a.png", PNG), ("b.png", PNG)])
    data = bytearray(path.read_bytes())
    data[data.index(b"b.png")] ^= 0xFF
    path.write_bytes(data)
    good, bad = find(path)
    assert good.open().read() == PNG and "damaged" in error_of(bad)


def test_a_zip_cut_short_or_damaged_is_an_error(tmp_path):
    path = write_zip(tmp_path / "x.zip", [("a.png", os.urandom(500)), ("b.png", PNG)])
    whole = path.read_bytes()
    for end in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:end])
        (bad,) = find(path)
        assert error_of(bad).startswith("this archive cannot be read: ")
    data = bytearray(whole)
    data[60] ^= 0xFF  # in the first member
    path.write_bytes(data)
    first, second = find(path)
    error_of(first)
    assert second.open().read() == PNG


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
def test_random_damage_raises_only_image_errors(tmp_path, kind, rng):
    members = [(f"{i}.png", PNG) for i in range(4)]
    path = tmp_path / f"x.{kind}"
    write_zip(path, members) if kind == "zip" else write_tar(path, members, TARS[kind])
    whole = path.read_bytes()
    errors = 0
    for _ in range(100):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 3):
            data[at] = rng.integers(256)
        path.write_bytes(data)
        for found in find(path):
            try:
                found.open().read()
            except lcnet.ImageError:
                errors += 1
    assert errors


def test_archives_that_are_none_or_missing_or_folders(tmp_path):
    for name in ("a.zip", "a.tar.gz"):
        (tmp_path / name).write_bytes(b"no archive at all")
    (tmp_path / "folder.zip").mkdir()
    (tmp_path / "folder.zip" / "x.png").write_bytes(PNG)
    for name in ("a.zip", "a.tar.gz", "gone.zip", "gone.tar"):
        (bad,) = find(tmp_path / name)
        assert error_of(bad).startswith("this archive cannot be read")
    assert list(find(tmp_path / "folder.zip")) == [tmp_path / "folder.zip" / "x.png"]


def test_a_name_in_a_tar_that_is_no_text(tmp_path):
    (found,) = find(write_tar(tmp_path / "x.tar", [(os.fsdecode(b"caf\xe9.png"), PNG)]))
    assert shown(found).endswith("!/caf\\xe9.png") and found.open().read() == PNG


def test_a_stored_bzip2_stream_as_a_tar(tmp_path):
    (tmp_path / "x.tar").write_bytes(bz2.compress(raw_header("a.png", len(PNG)) + padded(PNG) + END))  # by its bytes
    (found,) = find(tmp_path / "x.tar")
    assert found.open().read() == PNG


def test_one_zip_is_read_by_many_threads(tmp_path):
    data = [os.urandom(5000) for _ in range(200)]
    found = list(find(write_zip(tmp_path / "x.zip", [(f"{i}.png", d) for i, d in enumerate(data)])))
    wrong = []

    def read(part):
        wrong.extend(i for i in range(part, 200, 4) if found[i].open().read() != data[i])

    threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


def test_a_large_archive_keeps_one_member_in_memory(tmp_path):
    path = write_tar(tmp_path / "x.tar", [(f"{i}.png", bytes(1_000_000)) for i in range(40)])
    tracemalloc.start()
    number = sum(len(f.open().read()) for f in find(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert number == 40_000_000 and peak < 8_000_000


def test_members_of_a_zip_that_share_bytes_are_not_read(tmp_path):
    """Any number of names for one bomb: 3 MB that would take hours."""
    path = write_zip(tmp_path / "x.zip", [(f"{i}.png", PNG) for i in range(4)])
    data = bytearray(path.read_bytes())
    at = [i for i in range(len(data)) if data.startswith(b"PK\1\2", i)]
    data[at[0] + 42 : at[0] + 46] = data[at[2] + 42 : at[2] + 46]
    path.write_bytes(data)
    found = list(find(path))
    wrong = [f for f in found if str(f).endswith(("/0.png", "/2.png"))]
    refused = [f for f in wrong if f.name.endswith("0.png")]
    assert "reaches into the next member" in error_of(refused[0])
    assert all(f.open().read() == PNG for f in found if f not in wrong)
    if sys.version_info[:3] != (3, 13, 0):  # which refuses both of two that lie at one place
        assert all(f.open().read() == PNG for f in wrong if f is not refused[0])


def test_a_zip_that_grows_without_end_is_left(tmp_path, monkeypatch):
    from lcnet.sources import zipped

    monkeypatch.setattr(zipped, "MAX_MEMBER", 5_000_000)
    path = write_zip(tmp_path / "x.zip", [(f"{i}.png", PNG + bytes(2_000_000)) for i in range(9)])
    *good, rest = find(path)
    assert 2 <= len(good) < 9 and "grows to more than 200 times its size" in error_of(rest)
    assert good[0].open().read() == PNG + bytes(2_000_000)


def test_a_large_member_that_is_no_picture_is_not_inflated(tmp_path):
    path = write_zip(tmp_path / "x.zip", [("a.png", bytes(50_000_000)), ("b.png", PNG)])
    first, second = find(path)
    tracemalloc.start()
    try:
        assert "not a picture of a known format" in error_of(first)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert second.open().read() == PNG


@pytest.mark.parametrize("name", ["x.zip", "x.tar"])
def test_an_archive_that_is_a_pipe_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    (found,) = find(tmp_path / name)
    assert "it is no file" in error_of(found)
