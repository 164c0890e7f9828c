"""One of several processes that serve together: started by `supervise`, with a channel to it and the socket to listen on.

python -m lcnet.serve.child CHANNEL LISTENING     (numbers of open files; the plan is the channel's first line)
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import LcnetError
from .channel import LONGEST, Channel, ChannelError
from .plan import Plan

if TYPE_CHECKING:
    from .models import Served
    from .server import Server


def main(channel: int, listening: int) -> None:
    """Serve until the supervisor says so, or is gone."""
    from .process import few_arenas, many_files

    few_arenas()
    many_files()
    control = socket.socket(fileno=channel)
    plan = Plan.from_json(_first_line(control))
    try:
        application = plan.application()
    except (LcnetError, OSError, MemoryError) as error:
        control.sendall(_failure(str(error) or type(error).__name__))
        sys.exit(1)
    from .server import Server, serve

    application.service.peers = Member(application.service, control)
    serve(Server(application, plan.drain_delay, plan.grace), socket.socket(fileno=listening))


def _first_line(control: socket.socket) -> str:
    line = b""
    while not line.endswith(b"\n"):
        line += control.recv(1)  # no byte of what comes after
    return line.decode()


def _failure(message: str) -> bytes:
    import json

    return json.dumps({"ask": "failed", "values": [message], "number": 0}).encode() + b"\n"


class Member:
    """What `Peers` is to a process that serves alone: what concerns all goes to the supervisor."""

    def __init__(self, service: Any, control: socket.socket) -> None:
        self.service, self._control = service, control
        self._channel: Channel | None = None
        self._fresh: list[Served] = []
        self._all_ready = False

    async def joined(self, server: Server) -> None:
        """Say that this process takes requests, and do what the supervisor asks, until it is gone."""
        reader, writer = await asyncio.open_connection(sock=self._control, limit=LONGEST)
        handlers: Any = {"snapshot": self._snapshot, "read": self._read, "swap": self._swap, "forget": self._forget}
        handlers |= {"ready": self._ready, "drain": lambda: _done(server.drain())}
        self._channel = Channel(reader, writer, handlers)
        self._channel.tell("joined", {served.name: served.sha256 for served in self.service.models.all()})
        await self._channel.run()
        server.drain()

    def ready(self) -> bool:
        """Whether all processes serve."""
        return self._all_ready and not self.service.draining

    async def metrics(self) -> bytes:
        """The numbers of all processes."""
        from .metrics import summed

        return summed(await self._ask("metrics"))

    async def reload(self, names: Sequence[str]) -> None:
        """Read models again in all processes, or in none."""
        await self._ask("reload", list(names))

    async def _ask(self, what: str, *values: Any) -> Any:
        from .refusals import Refused

        if self._channel is None:
            raise Refused("not_ready", "this process has not joined the others yet: try again")
        try:
            return await self._channel.ask(what, *values)
        except ChannelError as error:
            raise Refused("argument" if what == "reload" else "not_ready", str(error)) from None

    async def _ready(self, all_ready: bool) -> None:
        self._all_ready = all_ready

    async def _snapshot(self) -> Any:
        return self.service.metrics.snapshot()

    async def _read(self, names: list[str]) -> dict[str, str]:
        loop = asyncio.get_running_loop()
        self._fresh = await loop.run_in_executor(None, self.service.models.read_again, names)
        return {served.name: served.sha256 for served in self._fresh}

    async def _swap(self) -> None:
        self.service.models.replace(self._fresh)
        self.service.metrics.models(self.service.models.all())
        self._fresh = []

    async def _forget(self) -> None:
        self._fresh = []


async def _done(_: None) -> None:
    """What has been done already."""


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
