"""A TIFF file written anew without what nothing points to, such as the old pixels of pages that were turned.

Fields and pixels are copied as they are. Fields that may hold places in the file, which would not be right any more, are known
by their tags and types; a file with such a field, or one that this cannot make smaller, stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from .ifd import LONG, LONG8, Damaged, Directories, Entry

PIXELS = {273: 279, 324: 325}  # where strips and tiles are -> how long they are
POINTERS = {330, 288, 289, 513, 519, 520, 521, 34665, 34853, 40965}  # directories and data of their own (TIFF 6.0, EXIF)
IFDS = (13, 18)  # types that are places of directories
PRIVATE = 32768  # tags from here on are anybody's


def packed(file: Directories) -> bytes:
    """The file without gaps, or as it is."""
    whole = bytes(file.data)
    try:
        new = _copied(file)
    except Damaged:
        return whole
    return whole if new is None or len(new) >= len(whole) else new


def _copied(file: Directories) -> bytes | None:
    new = Directories(_header(file))
    link = new.first
    for at in file.chain():
        fields = file.entries(at)
        if any(map(_may_point, fields.values())) or len(new.data) > len(file.data):
            return None
        rows = file.copied(fields, PIXELS)
        rows += [new.field(tag, *_moved(file, new, fields, tag)) for tag in PIXELS if tag in fields]
        here = new.add_directory(rows, 0)
        new.put(new.offset, link, here)
        link = new.after(here)
    return bytes(new.data)


def _header(file: Directories) -> bytes:
    """What stands before everything else, leading nowhere yet."""
    size = file.first + file.inline
    return bytes(file.data[: file.first]) + bytes(size - file.first)


def _may_point(entry: Entry) -> bool:
    return entry.tag in POINTERS or entry.kind in IFDS or (entry.tag >= PRIVATE and entry.kind in (LONG, LONG8))


def _moved(file: Directories, new: Directories, fields: Mapping[int, Entry], tag: int) -> list[int]:
    """Copy the strips or tiles of a page; returns where they are now."""
    places, sizes = file.numbers(fields[tag]), file.numbers(fields.get(PIXELS[tag]))
    if len(places) != len(sizes):
        raise Damaged("it has not as many strips as lengths")
    return [new.add(bytes(file.data[at : at + size])) for at, size in zip(places, sizes, strict=True)]
