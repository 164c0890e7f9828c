"""How long a request may take: until its time is over, and no longer than its client stays."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request

from .exchange import Gone
from .refusals import Refused

LOOK = 0.02  # seconds that a request waits before it is looked whether its client is still there
CONNECTION = "lcnet.connection"  # of a scope, under our own protocol: what tells when its client goes


class Within:
    """Meanwhile the task has so many seconds, after which it ends with `late`.

    asyncio's own `timeout` does no more, and takes five times as long, which every request would pay.
    """

    def __init__(self, seconds: float, late: Refused) -> None:
        self._seconds, self._late = seconds, late
        self._why: BaseException | None = None

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelled = task, task.cancelling()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._end, self._late)

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        self._timer.cancel()
        if self._why is not None and self._task.uncancel() <= self._cancelled and isinstance(error, asyncio.CancelledError):
            raise self._why from None

    def _end(self, why: BaseException) -> None:
        if self._why is None:
            self._why = why
            self._task.cancel()


class Awaited(Within):
    """`Within` that ends with `Gone` too, when the client of `request` goes away."""

    def __init__(self, request: Request, seconds: float, late: Refused) -> None:
        super().__init__(seconds, late)
        self._request = request
        self._connection: Any = request.scope.get(CONNECTION)
        self._look: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        super().__enter__()
        if self._connection is None:
            self._look = asyncio.get_running_loop().call_later(LOOK, self._begin)
        else:
            self._connection.watch(self._gone)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._connection is not None:
            self._connection.watch(None)
        if self._look is not None:
            self._look.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        super().__exit__(kind, error, trace)

    def _gone(self) -> None:
        self._end(Gone())

    def _begin(self) -> None:
        self._watcher = asyncio.get_running_loop().create_task(self._listen())

    async def _listen(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self._gone()
