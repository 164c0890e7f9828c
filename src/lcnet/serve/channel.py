"""Two processes that ask each other: JSON, a line a message, over a pair of sockets. What fails there is raised here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

LONGEST = 1 << 26  # bytes of a message: the numbers of a server with many models

Handler = Callable[..., Awaitable[Any]]


class ChannelError(Exception):
    """What the other side says went wrong, or that it is gone."""


class Channel:
    """One end. `run` answers what the other asks by the functions of `handlers`, until it is gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handlers: dict[str, Handler]) -> None:
        self._reader, self._writer, self._handlers = reader, writer, handlers
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next = 0

    async def ask(self, what: str, *values: Any, seconds: float = 120.0) -> Any:
        """Have the other side do something, and return what it says. Raises `ChannelError`."""
        self._next += 1
        number, future = self._next, asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._send({"ask": what, "values": values, "number": number})
            return await asyncio.wait_for(future, seconds)
        except TimeoutError:
            raise ChannelError(f"there was no answer within {seconds:g} seconds") from None
        finally:
            self._waiting.pop(number, None)

    def tell(self, what: str, *values: Any) -> None:
        """Have the other side do something, whatever becomes of it."""
        self._send({"ask": what, "values": values, "number": 0})

    async def run(self) -> None:
        """Answer and be answered until the other side is gone."""
        try:
            while line := await self._reader.readline():
                self._take(json.loads(line))
        except (OSError, ValueError):
            pass  # it died in the middle of a message
        finally:
            self._writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ChannelError("the process that was asked has died"))

    def _take(self, message: dict[str, Any]) -> None:
        if "ask" in message:
            task = asyncio.get_running_loop().create_task(self._do(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        future = self._waiting.get(message["number"])
        if future is None or future.done():
            return
        if "error" in message:
            future.set_exception(ChannelError(message["error"]))
        else:
            future.set_result(message["value"])

    async def _do(self, message: dict[str, Any]) -> None:
        try:
            answer = {"value": await self._handlers[message["ask"]](*message["values"])}
        except Exception as error:
            answer = {"error": str(error) or type(error).__name__}
        if message["number"]:
            self._send({"number": message["number"], **answer})

    def _send(self, message: dict[str, Any]) -> None:
        if self._writer.is_closing():
            raise ChannelError("the process that was asked has died")
        self._writer.write(json.dumps(message).encode() + b"\n")
