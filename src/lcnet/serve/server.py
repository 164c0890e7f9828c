"""The HTTP server: uvicorn, with the times and sizes of headers bounded, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

import uvicorn

from ..errors import InputError
from ..text import reason
from . import memory
from .application import Application
from .protocol import protocol_class

BACKLOG = 2048
KEEP_ALIVE = 75  # seconds that an idle connection stays open: longer than nginx's 60, so that it is nginx who closes it
PATIENCE = 10.0  # seconds to start


class Server(uvicorn.Server):
    """One process's server. A first signal drains: not ready for `drain_delay`, then no new connections, then the end."""

    def __init__(self, app: Application, drain_delay: float = 0.0, grace: float = 30.0) -> None:
        limits = app.service.limits
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol_class(limits),
                ws="none",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=True,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=max(1, round(grace)),
            )
        )
        self.app, self.drain_delay = app, drain_delay
        self._asked: float | None = None  # when it was asked to stop
        self._trim = memory.Trim(app.service)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """A first signal drains, a second ends now."""
        if self._asked is None:
            self.drain()
        else:
            self.should_exit = self.force_exit = True

    def drain(self) -> None:
        """Take the last requests, and stop."""
        if self._asked is None:
            self._asked = monotonic()
            self.app.service.draining = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        self._trim.tick()
        if self._asked is not None and monotonic() - self._asked >= self.drain_delay:
            self.should_exit = True
        return await super().on_tick(counter)


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound and listens. Raises `InputError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        found.bind((host, port))
        found.listen(BACKLOG)
    except OSError as error:
        found.close()
        raise InputError(f"{host} port {port}: cannot be listened on: {reason(error)}") from None
    found.setblocking(False)
    return found


def address(listening: socket.socket) -> str:
    """The address of a listening socket, as a browser takes it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(server: Server, listening: socket.socket) -> None:
    """Serve in this thread until a signal."""
    quiet()
    server.run(sockets=[listening])


def quiet() -> None:
    """uvicorn's own log is not ours: of what it says only errors come through."""
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)


@contextmanager
def in_thread(app: Application, host: str, port: int) -> Iterator[str]:
    """Serve in a thread meanwhile, and give the address."""
    listening = listen(host, port)
    server = Server(app, grace=5)
    thread = threading.Thread(target=serve, args=(server, listening), name="lcnet-server", daemon=True)
    url = address(listening)
    thread.start()
    try:
        started(server, thread)
        yield url
    finally:
        server.drain()
        thread.join(timeout=10)


def started(server: Server, thread: threading.Thread) -> None:
    """Wait until a server takes requests."""
    until = monotonic() + PATIENCE
    while not server.started:
        if not thread.is_alive() or monotonic() > until:
            raise InputError("the server did not start: its log says why")
        threading.Event().wait(0.005)
