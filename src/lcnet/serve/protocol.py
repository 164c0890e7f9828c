"""uvicorn's protocol with what it leaves open bounded: how long headers may take, how long they may be, how many may come."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from .limits import HEAD, Limits

LINGER = 0.5  # seconds that a refused connection stays open, so that its client reads why
FULL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def protocol_class(limits: Limits) -> type[asyncio.Protocol]:
    """A class of connections for uvicorn."""
    base: Any = AutoHTTPProtocol
    tells = hasattr(base, "on_message_begin")  # as that of httptools does; h11 bounds headers itself

    class Bounded(base):  # type: ignore[misc]
        """A connection. Between requests a clock runs from the first byte until the headers are whole."""

        _clock: asyncio.TimerHandle | None = None
        _head = 0  # bytes of headers that are not yet whole
        _in_head = True
        _ended = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > limits.max_connections:
                self._end(FULL)
            else:
                self._start()

        def data_received(self, data: bytes) -> None:
            if self._ended:
                return
            if self._clock is None and not self._busy():
                self._start()
            counted = tells and self._in_head
            head = self._head + len(data) if counted else 0
            super().data_received(data)
            self._head = head if counted and self._in_head else 0
            if self._busy():
                self._head = 0
                self._stop()
            elif self._head > HEAD:
                self._end(LONG)

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def on_message_begin(self) -> None:
            self._in_head, self._head = True, 0
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._in_head = False
            super().on_headers_complete()

        def _busy(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _start(self) -> None:
            self._clock = self.loop.call_later(limits.read_timeout, self._late)

        def _stop(self) -> None:
            if self._clock is not None:
                self._clock.cancel()
                self._clock = None

        def _late(self) -> None:
            self._clock = None
            if not self._busy():
                self._end(SLOW if self._in_head else b"")  # else it is a refused body, whose answer was given

        def _end(self, answer: bytes) -> None:
            """Say why, and close a little later: to close on what is not read would take the answer back."""
            self._stop()
            self._ended = True
            if not self.transport.is_closing():
                self.transport.write(answer)
                self._clock = self.loop.call_later(LINGER, self.transport.close)

    return Bounded
