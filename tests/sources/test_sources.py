"""Finding pictures, as a hostile user would have them found: folders, globs, lists."""

import io
import os
import tracemalloc
from pathlib import Path

import pytest
from archived import write_tar, write_zip
from pictures import encoded, picture

import lcnet
from lcnet import sources
from lcnet.sources import count, find, find_listed, read_list
from lcnet.sources.formats import FORMATS, UNREAD
from lcnet.text import shown

PNG = encoded(picture(), "PNG")


def names(found, base=None):
    return [str(s) if base is None else os.path.relpath(str(s), base) for s in found]


def tree(root, *files, data=PNG):
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def error_of(found):
    with pytest.raises(lcnet.ImageError) as caught:
        found.open()
    assert str(caught.value).startswith(f"{found}: ")
    return str(caught.value).removeprefix(f"{found}: ")


def test_a_folder_is_sorted_and_without_hidden_and_other_files(tmp_path):
    tree(tmp_path, "b.PNG", "a.jpg", "a10.jpg", "a2.jpg", ".hidden.png", "notes.txt", "below/c.png", "x.zip", "noext")
    assert names(find(tmp_path), tmp_path) == ["a.jpg", "a10.jpg", "a2.jpg", "b.PNG"]
    assert all(isinstance(s, Path) for s in find(tmp_path))


def test_recursive_goes_below_each_folder_after_its_files(tmp_path):
    tree(tmp_path, "z.png", "b/y.png", "b/a/x.png", "a/w.png", ".git/v.png")
    assert names(find(tmp_path, recursive=True), tmp_path) == ["z.png", "a/w.png", "b/y.png", "b/a/x.png"]


def test_links_that_loop_end_and_each_folder_counts_once(tmp_path):
    tree(tmp_path, "a/x.png", "b/y.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b" / "self").symlink_to(".")
    (tmp_path / "c").symlink_to(tmp_path / "a")
    (tmp_path / "link.png").symlink_to("a/x.png")
    assert names(find(tmp_path, recursive=True), tmp_path) == ["link.png", "a/x.png", "b/y.png"]


def test_a_pipe_in_a_folder_is_left_alone_and_a_broken_link_is_told(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "broken.png").symlink_to("nowhere")
    assert names(find(tmp_path), tmp_path) == ["broken.png"]


def test_a_folder_tree_deeper_than_the_interpreter_s_stack(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(1200):
        os.mkdir("d")
        os.chdir("d")
    Path("x.png").write_bytes(PNG)
    try:
        (found,) = find(tmp_path, recursive=True)
        assert str(found).count("/d") == 1200 and str(found).endswith("/x.png")
    finally:
        os.remove("x.png")
        for _ in range(1200):
            os.chdir("..")
            os.rmdir("d")


def test_a_folder_that_cannot_be_read_is_an_error_and_the_rest_goes_on(tmp_path, monkeypatch):
    tree(tmp_path, "a/x.png", "b/y.png")
    real = os.scandir

    def scandir(path):
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    bad, good = find(tmp_path, recursive=True)
    assert error_of(bad) == "this folder cannot be read: Permission denied" and str(good).endswith("b/y.png")


def test_an_empty_folder_has_nothing(tmp_path):
    assert list(find(tmp_path)) == [] and list(find([tmp_path, tmp_path], recursive=True)) == []


def test_patterns(tmp_path):
    tree(tmp_path, "b1.png", "a1.png", "a2.jpg", "d/a3.png", "d/e/a4.png", "what[1].png")
    assert names(find(str(tmp_path / "a*")), tmp_path) == ["a1.png", "a2.jpg"]
    assert names(find(str(tmp_path / "**" / "a*.png")), tmp_path) == ["a1.png", "d/a3.png", "d/e/a4.png"]
    assert names(find(str(tmp_path / "?")), tmp_path) == ["d/a3.png"]  # a folder, as a shell would name it
    assert names(find(str(tmp_path / "what[1].png")), tmp_path) == ["what[1].png"]  # the name of a file wins
    (none,) = find(str(tmp_path / "z*.png"))
    assert error_of(none) == "no file matches this pattern"


def test_what_is_no_path_is_passed_on_and_what_is_missing_too(tmp_path):
    array = picture()
    given = [PNG, array, tmp_path / "missing.png", "a\0b.png"]
    assert all(a is b for a, b in zip(find(given), given, strict=True))
    assert find(PNG) == [PNG] and find(array)[0] is array
    assert len(list(find(array[None]))) == 1  # an array of pictures is several


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
    def endless():
        while True:
            yield tmp_path / "x.png"

    found = iter(find(endless()))
    assert next(found) == next(found) == tmp_path / "x.png"


@pytest.mark.parametrize(
    "data, expected",
    [
        (b"a.png\n\n  \nb c.png\n", ["a.png", "b c.png"]),
        (b"a.png\r\nb.png", ["a.png", "b.png"]),
        (b"\xef\xbb\xbfa.png\n", ["a.png"]),
        (b"a\nb.png\0c.png\0\0", ["a\nb.png", "c.png"]),
        (b"caf\xe9.png\n", [os.fsdecode(b"caf\xe9.png")]),
        (b"", []),
        (b"\n\n", []),
    ],
)
def test_lists(data, expected):
    assert list(read_list(io.BytesIO(data))) == expected


def test_a_list_is_read_as_it_comes(tmp_path):
    reader, writer = os.pipe()
    with open(reader, "rb") as file:
        lines = read_list(file)
        os.write(writer, b"a.png\nb.p")
        assert next(lines) == "a.png"
        os.write(writer, b"ng\n")
        assert next(lines) == "b.png"
        os.close(writer)
        assert list(lines) == []


def test_a_list_without_lines_is_refused_before_it_fills_the_memory():
    class Endless(io.RawIOBase):
        def read(self, size=-1):
            return b"x" * size

    with pytest.raises(lcnet.InputError, match="one path a line"):
        list(read_list(Endless()))


def test_a_million_listed_paths_are_never_in_memory_together(tmp_path):
    lines = io.BytesIO(b"".join(b"%s/%07d.png\n" % (os.fsencode(tmp_path), i) for i in range(10_000)))
    tracemalloc.start()
    number = sum(1 for _ in find_listed(read_list(lines)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert number == 10_000 and peak < 400_000  # they are 800 kB


def test_listed_names_are_no_patterns_but_may_be_folders(tmp_path):
    tree(tmp_path, "d/a.png", "d/b.png")
    found = list(find_listed([str(tmp_path / "d"), str(tmp_path / "*.png"), str(tmp_path / "gone.png")]))
    assert names(found, tmp_path) == ["d/a.png", "d/b.png", "*.png", "gone.png"]


def test_names_that_are_no_text_are_shown_as_text():
    assert shown(os.fsdecode(b"caf\xe9.png")) == "caf\\xe9.png" and shown(Path("ä/b.png")) == "ä/b.png"


def test_counting(tmp_path):
    tree(tmp_path, "a.png", "b.png", "d/c.png")
    write_zip(tmp_path / "x.zip", [("a.png", PNG), ("b.txt", PNG)])
    write_tar(tmp_path / "x.tar", [("a.png", PNG)])
    assert count([tmp_path]) == 2 and count([tmp_path], recursive=True) == 3
    assert count([tmp_path / "x.zip", tmp_path / "a.png", "no*"]) == 3
    assert count([tmp_path / "x.zip", tmp_path / "x.tar"]) is None


def test_the_suffixes_of_pictures_are_lower_case():
    assert all(
        s == s.lower() and s.startswith(".")
        for s in (*UNREAD, *sources.ARCHIVES, *(x for row in FORMATS for x in row.suffixes.split()))
    )


def test_a_link_to_itself_hides_nothing_but_itself(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    for name in ("self.png", "self"):
        (tmp_path / name).symlink_to(name)
    assert [path.name for path in find(tmp_path, recursive=True)] == ["a.png", "self.png"]
