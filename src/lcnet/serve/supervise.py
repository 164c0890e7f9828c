"""`lcnet serve` as a process, or as several: a parent that starts them, replaces those that die, and speaks for all.

The parent serves nothing itself. All processes listen on one socket, which the parent keeps open, so a connection that
comes while one is replaced is another's. A reload is in two steps: all read the new model, and only if all could, all swap.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from ..errors import InputError
from .channel import LONGEST, Channel, ChannelError
from .plan import Plan
from .process import HANGUP, frugal, responsive

AGAIN = (0.1, 1.0, 2.0, 5.0, 10.0)  # seconds before a process that keeps dying is started again
SETTLED = 5.0  # seconds after which one that dies is no failed start
LEFT = 5.0  # seconds beyond the grace, after which a process that has not ended is killed

Say = Callable[[str], None]


def run(plan: Plan, say: Say) -> None:
    """Serve until a signal. Raises `LcnetError` for what cannot be served. say: prints a line for who started this."""
    frugal()
    if HANGUP is not None:
        signal.signal(HANGUP, signal.SIG_IGN)  # until there is something that can be read again
    if plan.processes == 1:
        _run_alone(plan, say)
    elif not hasattr(os, "fork"):
        raise InputError("--processes is for systems that share sockets between processes: start several servers instead")
    else:
        _run_several(plan, say)


def _run_alone(plan: Plan, say: Say) -> None:
    from .listening import address, listen

    with listen(plan.host, plan.port) as listening:
        application = plan.application()
        from .server import Server, serve

        responsive()
        server = Server(application, plan.drain_delay, plan.grace)
        server.greet = lambda: say(_greeting(application.service.models.places, address(listening)))
        serve(server, listening)


def _run_several(plan: Plan, say: Say) -> None:
    from .listening import address, listen

    with listen(plan.host, plan.port) as listening:
        parent = Supervisor(plan, listening, say)
        asyncio.run(parent.run(lambda names: say(_greeting(names, address(listening)))))
    if parent.failed:
        raise InputError(parent.failed)


def _greeting(names: Any, url: str) -> str:
    return f"lcnet: serving {', '.join(names)} on {url}"


class Child:
    """A process, its channel, and which models it has, by sha256, once it takes requests."""

    def __init__(self, process: Process, channel: Channel, number: int) -> None:
        self.process, self.channel, self.number = process, channel, number
        self.models: dict[str, str] | None = None
        self.started = monotonic()


class Supervisor:
    """The parent. `failed`: why the server could not start."""

    def __init__(self, plan: Plan, listening: socket.socket, say: Say) -> None:
        self.plan, self._listening, self._say = plan, listening, say
        self.failed = ""
        self._children: dict[int, Child] = {}
        self._stopping = False
        self._was_ready = False
        self._reloading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, started: Callable[[list[str]], None]) -> None:
        """Keep all processes running until a signal."""
        loop = asyncio.get_running_loop()
        self._started = started
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signal)
        if HANGUP is not None:
            loop.add_signal_handler(HANGUP, lambda: self._later(self._reload_all()))
        await asyncio.gather(*(self._keep(number) for number in range(self.plan.processes)))

    def _later(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, number: int) -> None:
        """Start a process, and another one when it dies."""
        failures = 0
        while not self._stopping:
            child = await self._start(number)
            await child.channel.run()
            code = await child.process.wait()
            self._children.pop(number, None)
            self._tell_ready()
            if self._stopping:
                return
            failures = 0 if monotonic() - child.started > SETTLED else failures + 1
            if not self._was_ready:
                self.failed = self.failed or f"a process of the server ended with code {code} before it could serve"
                self._stop()
                return
            self._say(f"lcnet: process {child.process.pid} ended with code {code}: another takes its place")
            await asyncio.sleep(AGAIN[min(failures, len(AGAIN) - 1)])

    async def _start(self, number: int) -> Child:
        ours, theirs = socket.socketpair()
        listening = self._listening.fileno()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "lcnet.serve.child",
            str(theirs.fileno()),
            str(listening),
            pass_fds=(theirs.fileno(), listening),
            start_new_session=True,  # Ctrl-C is for the parent, which tells them
        )
        theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours, limit=LONGEST)
        writer.write(self.plan.to_json().encode() + b"\n")
        handlers: dict[str, Callable[..., Awaitable[Any]]] = {
            "joined": lambda models: self._joined(number, models),
            "failed": self._failed,
            "metrics": self._snapshots,
            "reload": self.reload,
        }
        child = self._children[number] = Child(process, Channel(reader, writer, handlers), number)
        return child

    async def _failed(self, message: str) -> None:
        if self._was_ready:
            self._say(f"lcnet: a process could not start: {message}")
        else:
            self.failed = message

    async def _joined(self, number: int, models: dict[str, str]) -> None:
        child = self._children[number]
        child.models = models
        others = [c.models for c in self._children.values() if c.models is not None and c is not child]
        if any(other != models for other in others):  # a file was replaced meanwhile: all or none
            self._later(self._reload_all())
        self._tell_ready()

    @property
    def _ready(self) -> bool:
        joined = [child for child in self._children.values() if child.models is not None]
        return len(joined) == self.plan.processes and not self._stopping

    def _tell_ready(self) -> None:
        if self._ready and not self._was_ready:
            self._was_ready = True
            self._started(list(next(iter(self._children.values())).models or ()))
        for child in self._children.values():
            with suppress(ChannelError):
                child.channel.tell("ready", self._ready)

    def _joined_children(self) -> list[Child]:
        return [child for child in self._children.values() if child.models is not None]

    async def _snapshots(self) -> list[Any]:
        asked = [child.channel.ask("snapshot", seconds=5) for child in self._joined_children()]
        found = await asyncio.gather(*asked, return_exceptions=True)
        return [snapshot for snapshot in found if not isinstance(snapshot, BaseException)]

    async def _reload_all(self) -> None:
        child = next(iter(self._joined_children()), None)
        try:
            if child is not None:
                await self.reload(list(child.models or ()))
                self._say("lcnet: all models are read again")
        except ChannelError as error:
            self._say(f"lcnet: {error}")

    async def reload(self, names: list[str]) -> None:
        """Have all processes read models again; if all could, have all swap. Raises `ChannelError`, and then none has."""
        async with self._reloading:
            children = self._joined_children()
            found = await asyncio.gather(*(c.channel.ask("read", names) for c in children), return_exceptions=True)
            wrong = next((str(one) for one in found if isinstance(one, BaseException)), "")
            if not wrong and any(one != found[0] for one in found):
                wrong = "the file changed while it was read, and the old models go on: try again"
            if wrong:
                await asyncio.gather(*(c.channel.ask("forget") for c in children), return_exceptions=True)
                raise ChannelError(wrong)
            await asyncio.gather(*(c.channel.ask("swap") for c in children), return_exceptions=True)
            for child, read in zip(children, found, strict=True):
                child.models = {**(child.models or {}), **read}  # type: ignore[dict-item]  # no exception is among them

    def _signal(self) -> None:
        if self._stopping:
            for child in self._children.values():
                with suppress(ProcessLookupError):
                    child.process.kill()
        self._stop()

    def _stop(self) -> None:
        """Let all finish what they are at; none is left behind."""
        if self._stopping:
            return
        self._stopping = True
        loop = asyncio.get_running_loop()
        for child in list(self._children.values()):
            with suppress(ChannelError):
                child.channel.tell("drain")
            if child.models is None:  # it does not listen to us yet
                child.process.terminate()
        loop.call_later(self.plan.drain_delay, self._listening.close)
        loop.call_later(self.plan.drain_delay + self.plan.grace + LEFT, self._kill)

    def _kill(self) -> None:
        for child in self._children.values():
            with suppress(ProcessLookupError):
                child.process.kill()
