"""Who is let in: decided by the headers, before the body is read, and never by waiting.

There are as many permits as requests are worked on or may wait; a request that gets none is refused at once. A body that
dawdles lends its permit to others meanwhile. The bytes of all bodies together are bounded too.
"""

from __future__ import annotations

import asyncio

from .limits import Limits
from .refusals import Refused

PATIENCE = 0.25  # seconds for a body to arrive before its permit is lent


class Gate:
    """The permits of one process. Belongs to one event loop, so it needs no lock."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.inside = 0  # requests with a permit
        self.bytes = 0  # of bodies held

    @property
    def free(self) -> bool:
        """Whether there is a permit."""
        return self.inside < self.limits.permits

    def full(self) -> Refused:
        """What those are told who get none."""
        return _no_place(f"{self.limits.permits} requests are being served or wait, as many as may")

    def admit(self, length: int | None) -> Pass:
        """A pass for a request whose body has `length` bytes, None if that is not said. Raises `Refused`."""
        if length is not None and length > self.limits.max_body:
            raise Refused("too_large", f"the body has {length} bytes, taken are at most {self.limits.max_body}")
        admitted = Pass(self)
        admitted.enter()
        try:
            admitted.reserve(length or 0)
        except Refused:
            admitted.leave()
            raise
        return admitted


class Pass:
    """What one request holds while a `with` lasts: a permit, and the bytes of its body."""

    __slots__ = ("_bytes", "_gate", "_inside", "_timer")

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._inside, self._bytes = False, 0
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Pass:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def enter(self) -> None:
        """Take a permit, if this has none. Raises `Refused` if there is none."""
        if self._inside:
            return
        if not self._gate.free:
            raise self._gate.full()
        self._gate.inside += 1
        self._inside = True
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self.lend)

    def lend(self) -> None:
        """Let another have the permit."""
        if self._inside:
            self._gate.inside -= 1
            self._inside = False

    def arrived(self) -> None:
        """The body is here: hold the permit from now on. Raises `Refused` if it was lent, and none is left."""
        self._stop()
        self.enter()
        self._stop()

    def reserve(self, count: int) -> None:
        """Count bytes of the body before they are held. Raises `Refused`."""
        more = count - self._bytes
        if more <= 0:
            return
        most = self._gate.limits.max_bytes_in_flight
        assert most is not None
        if self._gate.bytes + more > most:
            raise _no_place(f"the bodies of requests take {self._gate.bytes} bytes, as many as may be held at once")
        self._gate.bytes += more
        self._bytes += more

    def leave(self) -> None:
        """Give everything back."""
        self._stop()
        self.lend()
        self._gate.bytes -= self._bytes
        self._bytes = 0

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _no_place(why: str) -> Refused:
    return Refused("overloaded", f"{why}: try again in a second")
