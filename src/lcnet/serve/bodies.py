"""Bodies and the pictures in them: raw bytes, multipart with files, or JSON with base64. No addresses: nothing is fetched.

A body is read within its limits of bytes and seconds, and taken apart only when it is whole. What it says of names is kept
as it is; no name is ever a path here.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..text import quoted, shown
from .admission import Pass
from .exchange import Exchange, Gone
from .limits import Limits
from .refusals import Refused
from .waiting import Within

Receive = Callable[[], Awaitable[Any]]

STRUCTURE = 20_000  # objects, lists and commas of JSON with pictures: far fewer bytes than they take in memory
SMALL = 65_536  # bytes that are taken apart in the event loop, which is quicker than to ask a thread
LONGEST_NAME = 255


@dataclass(frozen=True)
class Picture:
    """The bytes of a picture file, or why they are none; the name that came with it, if any did."""

    data: bytes
    name: str | None = None
    error: Refused | None = None


async def read(receive: Receive, exchange: Exchange, admitted: Pass, limits: Limits) -> bytes:
    """The body of a request that was admitted. Raises `Refused`, and `Gone` if the client went away."""
    parts: list[bytes] = []
    what = f"the body did not arrive within {limits.read_timeout:g} seconds: send it faster, or less"
    with Within(limits.read_timeout, Refused("slow", what)):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            parts.append(message.get("body", b""))
            exchange.bytes += len(parts[-1])
            if exchange.bytes > limits.max_body:
                raise Refused("too_large", f"the body has more than {limits.max_body} bytes, which is what is taken")
            admitted.reserve(exchange.bytes)
            if not message.get("more_body", False):
                break
    exchange.body_read = True
    admitted.arrived()
    return parts[0] if len(parts) == 1 else b"".join(parts)


def is_raw(content_type: str) -> bool:
    """Whether a body of this type is the bytes of one picture."""
    return _kind(content_type) not in ("multipart/form-data", "application/json")


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def pictures_of(body: bytes, content_type: str, limits: Limits) -> list[Picture]:
    """The pictures of a body by its type; every other type is one raw picture. Raises `Refused`."""
    kind = _kind(content_type)
    if kind == "multipart/form-data":
        found = _multipart(body, content_type, limits)
    elif kind == "application/json":
        found = _json_pictures(parsed(body), limits)
    else:
        found = [Picture(body)]
        if not body:
            raise Refused("bad_request", "the body is empty: send a picture's bytes, a form with files, or JSON")
    if not found:
        raise Refused("argument", "there is no picture: send them in fields named file, or in the list images")
    return found


def parsed(body: bytes, numbers: bool = False) -> Any:
    """JSON. `numbers`: long lists of numbers may be in it. Raises `Refused`."""
    if sum(map(body.count, (b"{", b"[") if numbers else (b"{", b"[", b","))) > STRUCTURE:
        raise Refused("too_large", f"the JSON has more than {STRUCTURE} parts")
    try:
        return json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refused("bad_request", f"the body is no JSON: {_short(error)}") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _short(error: BaseException) -> str:
    return "it is nested too deep" if isinstance(error, RecursionError) else quoted(error)


def _json_pictures(data: Any, limits: Limits) -> list[Picture]:
    images = data.get("images") if isinstance(data, dict) and set(data) == {"images"} else None
    if not isinstance(images, list):
        raise Refused("argument", 'expected {"images": [{"base64": "..."}]}; options go into the query')
    check_count(len(images), limits)
    return [_json_picture(image) for image in images]


def _json_picture(image: Any) -> Picture:
    if isinstance(image, dict) and "url" in image:
        raise Refused("argument", "pictures by URL are not taken, as this server fetches nothing: send the bytes as base64")
    if not isinstance(image, dict) or not isinstance(image.get("base64"), str) or not set(image) <= {"base64", "name"}:
        raise Refused("argument", 'a picture of images is an object {"base64": "..."}, with a "name" if you like')
    name = image.get("name")
    if name is not None and not isinstance(name, str):
        raise Refused("argument", "the name of a picture is a text")
    return from_base64(image["base64"], name if name is None else _name(name))


def from_base64(text: str, name: str | None = None) -> Picture:
    """A picture as base64, or as a `data:` address with it; rubbish is that picture's error."""
    start, comma, rest = text.partition(",")
    encoded = rest if comma and start.startswith("data:") and start.endswith(";base64") else text
    try:
        return Picture(binascii.a2b_base64(encoded, strict_mode=True), name)
    except ValueError as error:
        return Picture(b"", name, Refused("damaged", f"its base64 is damaged: {quoted(error)}"))


def check_count(count: int, limits: Limits) -> None:
    """Raise `Refused` for too many pictures."""
    if count > limits.max_images:
        raise Refused("too_large", f"{count} pictures are too many for one request, at most {limits.max_images} are taken")


def _name(text: str) -> str:
    return shown(text)[:LONGEST_NAME]


def _multipart(body: bytes, content_type: str, limits: Limits) -> list[Picture]:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import parse_options_header

    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise Refused("bad_request", "the form's Content-Type has no boundary: let your HTTP library make it")
    form = _Form(limits)
    try:
        form.parse(body, boundary)
    except FormParserError as error:
        raise Refused("bad_request", f"the form is damaged: {quoted(error)}") from None
    return form.pictures


class _Form:
    """A multipart form as it is taken apart: files, in fields named `file`."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.pictures: list[Picture] = []

    def parse(self, body: bytes, boundary: bytes) -> None:
        """Read all parts. Raises `FormParserError` and `Refused`."""
        from python_multipart.exceptions import FormParserError
        from python_multipart.multipart import MultipartParser

        ended: list[bool] = []
        callbacks: Any = {
            "on_part_begin": self._begin,
            "on_header_field": self._field,
            "on_header_value": self._value,
            "on_header_end": self._header,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": lambda: ended.append(True),
        }
        parser = MultipartParser(boundary, callbacks)
        parser.write(body)
        parser.finalize()
        if not ended:
            raise FormParserError("it is cut short")

    def _begin(self) -> None:
        check_count(len(self.pictures) + 1, self.limits)
        self._headers: dict[bytes, bytes] = {}
        self._at, self._is, self._content = b"", b"", bytearray()

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._at += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._is += data[start:end]

    def _header(self) -> None:
        self._headers[self._at.lower()] = self._is
        self._at, self._is = b"", b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._content += memoryview(data)[start:end]

    def _end(self) -> None:
        from python_multipart.multipart import parse_options_header

        options = parse_options_header(self._headers.get(b"content-disposition"))[1]
        field = options.get(b"name", b"").decode("utf-8", "replace")
        if field != "file":
            raise Refused("argument", f"the form has a field '{quoted(field)}', expected 'file': options go into the query")
        name = options.get(b"filename")
        data, self._content = bytes(self._content), bytearray()
        self.pictures.append(Picture(data, None if name is None else _name(name.decode("utf-8", "surrogateescape"))))


def chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    """A list in parts of `size`."""
    return (items[i : i + size] for i in range(0, len(items), size))
