"""The HTTP server: uvicorn, with the times and sizes of headers bounded, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import uvicorn

from ..errors import InputError
from .application import Application
from .listening import BACKLOG, address, listen
from .process import HANGUP, Trim
from .protocol import protocol_class
from .refusals import Refused

KEEP_ALIVE = 75  # seconds that an idle connection stays open: longer than nginx's 60, so that it is nginx who closes it
PATIENCE = 10.0  # seconds to start


class Server(uvicorn.Server):
    """One process's server. A first signal drains: not ready for `drain_delay`, then no new connections, then the end."""

    def __init__(self, app: Application, drain_delay: float = 0.0, grace: float = 30.0) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol_class(app),
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
        self.greet: Callable[[], None] = lambda: None  # called when it listens, to signals too
        self._asked: float | None = None  # when it was asked to stop
        self._tasks: set[asyncio.Task[None]] = set()
        self._trim = Trim(app.service)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; SIGHUP reads all models again."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        if HANGUP is not None and threading.current_thread() is threading.main_thread():
            loop.add_signal_handler(HANGUP, lambda: self._background(self._reload()))
        self._background(self.app.service.peers.joined(self))
        self.greet()

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload(self) -> None:
        service = self.app.service
        try:
            await service.peers.reload(list(service.models.places))
        except Refused as error:
            service.log.event(error.message)
        else:
            service.log.event("all models are read again")

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
