"""A process among several: its part of a reload, of the numbers and of being ready, by a channel to the supervisor."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from .channel import LONGEST, Channel, ChannelError
from .metrics import summed
from .models import Served
from .refusals import Refused
from .service import Peers, Service


class Member(Peers):
    """`Peers` that are other processes: what concerns all goes to the supervisor."""

    def __init__(self, service: Service, control: socket.socket) -> None:
        super().__init__(service)
        self._control = control
        self._channel: Channel | None = None
        self._fresh: list[Served] = []
        self._all_ready = False

    async def joined(self, server: Any) -> None:
        """Say that this process takes requests, and do what the supervisor asks, until it is gone."""

        async def drain() -> None:
            server.drain()

        reader, writer = await asyncio.open_connection(sock=self._control, limit=LONGEST)
        handlers: Any = {"snapshot": self._snapshot, "read": self._read, "swap": self._swap, "forget": self._forget}
        handlers |= {"ready": self._ready, "drain": drain}
        self._channel = Channel(reader, writer, handlers)
        self._channel.tell("joined", {served.name: served.sha256 for served in self.service.models.all()})
        await self._channel.run()
        server.drain()

    def ready(self) -> bool:
        """Whether all processes serve."""
        return self._all_ready and not self.service.draining

    async def metrics(self) -> bytes:
        """The numbers of all processes."""
        return summed(await self._ask("metrics"))

    async def reload(self, names: Sequence[str]) -> None:
        """Read models again in all processes, or in none."""
        await self._ask("reload", list(names))

    async def _ask(self, what: str, *values: Any) -> Any:
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
        self.swap(self._fresh)
        self._fresh = []

    async def _forget(self) -> None:
        self._fresh = []
