"""uvicorn's protocol with what it leaves open bounded: how long headers may take, how long they may be, how many may come.

Under overload it answers itself (`overload`), and it tells when a client goes away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from .limits import HEAD, MB
from .overload import Overload
from .waiting import CONNECTION

if TYPE_CHECKING:
    from .application import Application

LINGER = 0.5  # seconds that a refused connection stays open, so that its client reads why
GATHERED = MB  # bytes of a body that wait here for the rest of it
FULL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def protocol_class(application: Application) -> type[asyncio.Protocol]:
    """A class of connections for uvicorn."""
    base: Any = AutoHTTPProtocol
    tells = hasattr(base, "on_message_begin")  # as that of httptools does; h11 bounds headers itself
    gathered = min(GATHERED, application.service.limits.max_body)
    limits, overload = application.service.limits, Overload(application)

    class Bounded(base):  # type: ignore[misc]
        """A connection. Between requests a clock runs from the first byte until the headers are whole."""

        _clock: asyncio.TimerHandle | None = None
        _head = 0  # bytes of headers that are not yet whole
        _in_head = True
        _whole = False  # what has come ends with the end of a request
        _refused = False  # the request that comes is refused: its body goes nowhere
        _told = False  # how long the body is
        _ended = False
        _deaf = False  # what else comes is not read: it cannot be told where the next request begins
        _left: Callable[[], None] | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > limits.max_connections:
                self._end(FULL)
            else:
                self._start()

        def data_received(self, data: bytes) -> None:
            if self._ended or self._deaf:
                return
            self._head = self._head + len(data) if tells and self._in_head else 0
            self._whole = False
            super().data_received(data)
            if self._busy() or self._whole:
                self._head = 0
                self._stop()
            elif self._head > HEAD:
                self._end(LONG)
            elif self._clock is None:
                self._start()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)
            if self.scope is not None:
                self.scope.pop(CONNECTION, None)  # a circle, which would be there until it is looked for
            if self._left is not None:
                self._left()

        def watch(self, left: Callable[[], None] | None) -> None:
            """Call a function when the client goes away; at once if it has."""
            self._left = left
            if left is not None and self.transport.is_closing():
                left()

        def on_message_begin(self) -> None:
            self._in_head, self._whole = True, False
            super().on_message_begin()
            self.scope[CONNECTION] = self

        def on_headers_complete(self) -> None:
            self._in_head, self._head = False, 0  # what has come behind it is no part of it
            answer = overload.answer(self._asked()) if self._at_ease() else None
            self._refused = answer is not None
            self._told = any(name == b"content-length" for name, _ in self.headers)
            if answer is not None:
                self.transport.write(answer)
                return
            super().on_headers_complete()
            if self.parser.should_upgrade():  # to what is not spoken here: then httptools takes a body for the next request
                self._deaf, self.cycle.keep_alive = True, False

        def _at_ease(self) -> bool:
            """Whether an answer can be written now, the connection goes on behind it, and its client reads what it is told."""
            lasting = self.parser.should_keep_alive() and self.parser.get_http_version() == "1.1"
            return lasting and not (self.parser.should_upgrade() or self._busy() or self.flow.write_paused)

        def _asked(self) -> dict[str, Any]:
            """A scope, as far as a refusal needs it."""
            path = self.url.partition(b"?")[0].decode("latin-1")
            return {**self.scope, "method": self.parser.get_method().decode("ascii"), "path": path}

        def on_body(self, body: bytes) -> None:
            """Keep some of a body. Its request is told when it is whole, if it is small and its length was counted."""
            if self._refused or self.cycle.response_complete:
                return
            if self._told and len(self.cycle.body) + len(body) <= gathered:
                self.cycle.body += body
            else:
                super().on_body(body)

        def on_message_complete(self) -> None:
            self._whole = True
            if self._refused:
                self.on_response_complete()
            else:
                super().on_message_complete()

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
