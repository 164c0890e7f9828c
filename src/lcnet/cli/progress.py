"""One line on the terminal while many pictures are worked on: how many, how fast, how long still."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import TextIO

from ..text import one_line
from .streams import on_terminal

PATIENCE = 1.0  # seconds without a line: a handful of pictures needs none
PAUSE = 0.1  # seconds between two drawings
_CLEAR = "\r\x1b[K"


class Progress:
    """Draws on `stream` if it is a terminal; messages go through `say`, so that the line does not run into them."""

    def __init__(
        self,
        stream: TextIO,
        total: Callable[[], int | None],
        done: int = 0,
        draw: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """total: counts the pictures, or gives None; called once, in a thread, for it may take long. done: at the start."""
        self.stream, self.count, self.clock = stream, total, clock
        self.total: int | None = None
        self.first = self.done = done
        self.started = clock()
        self.next = self.started + PATIENCE if draw and on_terminal(stream) else float("inf")
        self.counting = self.drawn = False
        self.lock = Lock()

    def begin(self, done: int) -> None:
        """Now the first picture is worked on; `done` were done before."""
        self.first = self.done = done
        self.started = self.clock()

    def advance(self) -> None:
        """One more is done."""
        self.done += 1
        now = self.clock()
        if now >= self.next:
            self._count()
            self._draw(self.line(now), now)

    def show(self, text: str) -> None:
        """Show what is being done where nothing is counted; may be called by any thread, and as often as one likes."""
        now = self.clock()
        if now >= self.next:
            self._draw(f"{one_line(text)} ...", now)

    def _draw(self, text: str, now: float) -> None:
        with self.lock:
            self.next = now + PAUSE
            self.stream.write(_CLEAR + text)
            self.stream.flush()
            self.drawn = True

    def line(self, now: float) -> str:
        """The line as it is now."""
        rate = (self.done - self.first) / max(now - self.started, 1e-9)
        speed = f"{rate:.0f}/s" if rate >= 10 else f"{rate:.1f}/s"
        if self.total is None or self.total < self.done:
            return f"{self.done} images  {speed}"
        left = duration((self.total - self.done) / max(rate, 1e-9))
        return f"{self.done} of {self.total} images  {100 * self.done // max(self.total, 1)}%  {speed}  {left} left"

    def say(self, text: str) -> None:
        """Print a message, as one line."""
        self.clear()
        self.stream.write(f"lcnet: {one_line(text)}\n")
        self.stream.flush()

    def clear(self) -> None:
        """Remove the line."""
        with self.lock:
            if self.drawn:
                self.stream.write(_CLEAR)
                self.drawn = False

    def _count(self) -> None:
        if self.counting:
            return
        from threading import Thread

        self.counting = True
        Thread(target=self._set_total, name="lcnet counter", daemon=True).start()

    def _set_total(self) -> None:
        with suppress(Exception):  # a list that is gone by now: then there is no total
            self.total = self.count()


def duration(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, seconds = divmod(round(min(seconds, 1e9)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
