"""Why a request is not served: one shape of answer for all, and which of lcnet's errors is which status.

A picture that cannot be read is the client's doing and named by a code; what the server does wrong is told without details.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..errors import ImageError, InputError, LcnetError, TooLargeError
from ..sources.formats import START, format_of, installed
from ..text import one_line

STATUS = {
    "damaged": 400,
    "bad_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method": 405,
    "slow": 408,
    "too_large": 413,
    "not_a_picture": 415,
    "argument": 422,
    "internal": 500,
    "overloaded": 503,
    "not_ready": 503,
    "deadline": 504,
}
LONGEST = 500  # characters of a message


class Refused(Exception):
    """A request, or a picture of it, that gets an error for an answer. `close`: nothing more is read from its connection."""

    def __init__(self, code: str, message: str, headers: Mapping[str, str] | None = None, close: bool = False) -> None:
        super().__init__(message)
        self.code, self.headers, self.close = code, dict(headers or {}), close
        if code in ("overloaded", "not_ready"):
            self.headers.setdefault("retry-after", "1")

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.code]

    @property
    def message(self) -> str:
        """What is wrong and what to do: one line of printable text."""
        return one_line(str(self))[:LONGEST]

    def to_dict(self) -> dict[str, str]:
        """What stands in a picture's place, or under `error` with the request's id."""
        return {"code": self.code, "message": self.message}


def refusal(error: BaseException, data: bytes = b"") -> Refused:
    """What a client is told of an error; `data`: the picture it is about."""
    if isinstance(error, Refused):
        return error
    if any(isinstance(cause, MemoryError) for cause in _causes(error)):
        return Refused("overloaded", "there is not enough memory for this picture now: try again, or make it smaller")
    if isinstance(error, ImageError):
        return Refused(_code(error, data), str(error).removeprefix("image bytes: "))
    if isinstance(error, InputError):
        return Refused("argument", str(error))
    if isinstance(error, LcnetError):
        return Refused("internal", "the model cannot answer this: the server's log says more")
    return Refused("internal", "something went wrong in the server: its log says more under this request's id")


def forget(error: BaseException | None) -> None:
    """Let go of the frames that an error has passed, once it is told.

    They hold the picture and the model, and the error, in a circle that is there until garbage is looked for.
    """
    while error is not None:
        error.__traceback__, error = None, error.__context__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _code(error: ImageError, data: bytes) -> str:
    if isinstance(error, TooLargeError):
        return "too_large"
    row = format_of(data[:START])
    return "not_a_picture" if data and not (row and installed(row.module)) else "damaged"
