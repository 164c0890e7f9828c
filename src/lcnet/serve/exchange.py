"""One request and what is known of it: its id, where its time went, how it ended. Metrics and the log are made of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from secrets import token_hex
from time import perf_counter
from typing import Any

from .limits import DRAINED

_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_TRACE = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_START, _NEXT = token_hex(4), count()  # of the ids that are given here: of this process, and within it


class Gone(Exception):
    """The client has closed its connection: there is nobody to answer."""


@dataclass
class Timing:
    """Seconds of a request's pictures: of the one that waited longest, and of all together."""

    queue: float = 0.0
    decode: float = 0.0
    network: float = 0.0

    def to_dict(self) -> dict[str, float]:
        """Milliseconds."""
        return {f"{name}_ms": round(1e3 * value, 3) for name, value in vars(self).items()}

    def header(self) -> str:
        """The same as `Server-Timing` has it."""
        return ", ".join(f"{name};dur={1e3 * value:.3f}" for name, value in vars(self).items())


@dataclass
class Exchange:
    """A request and its answer."""

    method: str
    id: str
    client: str
    headers: dict[bytes, bytes]
    trace: str = ""
    started: float = field(default_factory=perf_counter)
    route: str = "other"
    model: str = ""
    status: int = 0
    code: str = ""  # of the error
    body_read: bool = False
    bytes: int = 0
    pictures: int = 0
    pixels: int = 0
    timing: Timing | None = None

    @classmethod
    def of(cls, scope: Any) -> Exchange:
        """The exchange that an ASGI scope begins."""
        headers = dict(scope["headers"])
        given, trace = headers.get(b"x-request-id", b""), headers.get(b"traceparent", b"")
        id_ = given.decode() if _ID.fullmatch(given) else f"{_START}{next(_NEXT):08x}"
        client = scope.get("client") or ("",)
        return cls(scope["method"], id_, client[0], headers, trace.decode() if _TRACE.fullmatch(trace) else "")

    @property
    def seconds(self) -> float:
        """Since it began."""
        return perf_counter() - self.started

    @property
    def length(self) -> int | None:
        """Bytes that the body is said to have, None if that is not said."""
        if b"transfer-encoding" in self.headers:
            return None
        given = self.headers.get(b"content-length", b"0")
        return int(given) if given.isdigit() and len(given) < 19 else None

    @property
    def unclear(self) -> bool:
        """Whether a proxy in front could have read another length, and so another request, than the server here."""
        chunked, told = b"transfer-encoding" in self.headers, b"content-length" in self.headers
        return (chunked and told) or (not chunked and self.length is None)

    @property
    def must_close(self) -> bool:
        """Whether the connection is of no more use, as too much of a body is still to come, or perhaps none after all."""
        wrong = self.unclear or b"expect" in self.headers
        return not self.body_read and (wrong or (self.length or 0) > DRAINED)

    def count(self, done: Iterable[Any]) -> None:
        """Add up what was done for its pictures."""
        timing = self.timing = self.timing or Timing()
        for one in done:
            timing.queue = max(timing.queue, one.waited)
            timing.decode += one.decode
            timing.network += one.network
            self.pixels += one.pixels
