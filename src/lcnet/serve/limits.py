"""What a server takes on: how much at once, how large, for how long. Each has a number, and nothing is unbounded.

`Limits` is what `lcnet serve` has as options and `lcnet.serve.app` as arguments, by the same names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from ..cpus import usable_cpus
from ..errors import InputError

MB = 1_000_000
QUEUED = 32  # requests that wait for each thread: a tenth of a second's work
DRAINED = 64 * MB  # of a refused body that is read and forgotten: its client reads the answer only when all is sent
HEAD = 65_536  # bytes of a request's line and headers


@dataclass(frozen=True)
class Limits:
    """The limits of one process.

    threads: pictures that are worked on at once, by default one a processor. queue: requests that may wait beyond these, by
    default 32 a thread; one more is refused before its body is read. timeout: seconds from the arrival of a request's body,
    in the queue or not, to its answer. read_timeout: seconds for the headers, and for the body, to arrive. max_body: bytes of
    a request. max_pixels: of a picture. max_images: pictures of a request. max_bytes_in_flight: of all bodies held at once,
    by default eight of the largest. max_pixels_in_flight: of all pictures being decoded, 11 bytes each, by default one
    of the largest.
    max_connections: open at once. keep_below: a picture whose best class is less probable than this counts as uncertain.
    tokens: any of which a request must show; without any all are served. cors_origins: sites whose pages may ask, `*` for all.
    """

    threads: int | None = None
    queue: int | None = None
    timeout: float = 10.0
    read_timeout: float = 10.0
    max_body: int = 10 * MB
    max_pixels: int = 50 * MB
    max_images: int = 32
    max_bytes_in_flight: int | None = None
    max_pixels_in_flight: int | None = None
    max_connections: int = 2000
    keep_below: float = 0.5
    tokens: Sequence[str] = ()
    cors_origins: Sequence[str] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name))
        for name, value in self._defaults().items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

    def _defaults(self) -> dict[str, int]:
        threads = self.threads or usable_cpus()
        return {
            "threads": threads,
            "queue": QUEUED * threads,
            "max_bytes_in_flight": 8 * self.max_body,
            "max_pixels_in_flight": self.max_pixels,
        }

    @property
    def permits(self) -> int:
        """Requests that are in the house at once: worked on, or waiting."""
        assert self.threads is not None and self.queue is not None
        return self.threads + self.queue


_LEAST = {"queue": 0}
_NUMBERS = ("timeout", "read_timeout", "keep_below")
_TEXTS = ("tokens", "cors_origins")


def _check(name: str, value: object) -> None:
    """Raise `InputError` for what is no such limit."""
    if name in _TEXTS:
        if isinstance(value, str) or not all(isinstance(text, str) and text for text in value):  # type: ignore[attr-defined]
            raise InputError(f"{name} is {value!r}, expected a list of texts")
        return
    kind, least = ((int, float), 0) if name in _NUMBERS else (int, _LEAST.get(name, 1))
    good = isinstance(value, kind) and not isinstance(value, bool) and value >= least  # type: ignore[operator]
    if value is not None and (
        not good or value in (float("inf"),) or value != value or (value == 0 and name.endswith("timeout"))
    ):
        what = "a number of more than 0" if name in _NUMBERS else f"a whole number of at least {least}"
        raise InputError(f"{name} is {value!r}, expected {what}")
