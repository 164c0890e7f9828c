"""The log: a line a request, as text or JSON, and what went wrong. Never a picture's content, a token or a query.

Written by a thread of its own from a bounded queue: a disk that is full, or a reader that has stopped, costs lines and
never a request.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import traceback
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO

from ..formats import json_text
from ..text import one_line
from .exchange import Exchange

HELD = 4096  # lines that wait to be written
FORMATS = ("text", "json")


class Log:
    """Lines to a stream. style: `text`, `json`, or `none` for failures only."""

    def __init__(self, style: str = "text", stream: TextIO | None = None) -> None:
        self.style, self.dropped = style, 0
        self._stream = stream or sys.stderr
        self._lines: deque[str] = deque()
        self._more = threading.Condition()
        self._thread: threading.Thread | None = None
        self._writing = False

    def request(self, exchange: Exchange) -> None:
        """A request that is over."""
        if self.style != "none":
            self._line("request", _facts(exchange))

    def event(self, text: str) -> None:
        """Something about the server itself."""
        if self.style != "none":
            self._line("event", {"message": text})

    def failure(self, exchange: Exchange | None, error: BaseException | None) -> None:
        """What the server did wrong, in full."""
        told = "".join(traceback.format_exception(error)) if error else ""
        about = {"id": exchange.id} if exchange else {}
        self._line("failure", {**about, "message": f"{type(error).__name__}: {error}", "traceback": told})

    def close(self) -> None:
        """Write what waits, for a second at most."""
        with self._more:
            self._more.wait_for(lambda: not self._lines and not self._writing, timeout=1)

    def _line(self, kind: str, facts: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if self.style == "json":
            line = json_text({"time": now, "kind": kind, "pid": os.getpid(), **facts})
        else:
            line = f"{now} {_text(kind, facts)}"
        with self._more:
            if len(self._lines) >= HELD:
                self.dropped += 1
                return
            self._lines.append(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="lcnet-log", daemon=True)
                self._thread.start()
                atexit.register(self.close)
            self._more.notify_all()

    def _write(self) -> None:
        while True:
            with self._more:
                self._writing = False
                self._more.notify_all()
                self._more.wait_for(lambda: bool(self._lines))
                text = "\n".join(self._lines) + "\n"
                self._lines.clear()
                self._writing = True
            with suppress(OSError, ValueError):  # a full disk, a pipe without a reader, a stream that was closed
                self._put(text)

    def _put(self, text: str) -> None:
        """Write past the stream's buffer, which would keep what a full disk did not take."""
        try:
            descriptor = self._stream.fileno()
        except (OSError, ValueError, AttributeError):  # a stream of Python's own
            self._stream.write(text)
            return
        data = text.encode("utf-8", "backslashreplace")
        while data:
            data = data[os.write(descriptor, data) :]


def _facts(exchange: Exchange) -> dict[str, Any]:
    timing = exchange.timing.to_dict() if exchange.timing else {}
    facts = {
        "id": exchange.id,
        "client": exchange.client,
        "method": exchange.method,
        "route": exchange.route,
        "status": exchange.status,
        "error": exchange.code,
        "ms": round(1e3 * exchange.seconds, 3),
        "model": exchange.model,
        "pictures": exchange.pictures,
        "pixels": exchange.pixels,
        "bytes": exchange.bytes,
        **timing,
        "trace": exchange.trace,
    }
    return {name: value for name, value in facts.items() if value != ""}


def _text(kind: str, facts: dict[str, Any]) -> str:
    if kind == "failure":
        return one_line(f"failure {facts.get('id', '')} {facts['message']}") + "\n" + facts["traceback"].rstrip()
    if kind == "event":
        return one_line(facts["message"])
    parts = [facts.get("client", "-"), facts["method"], facts["route"], facts["status"], f"{facts['ms']} ms"]
    parts += [f"{name[:-3]} {facts[name]}" for name in ("queue_ms", "decode_ms", "network_ms") if name in facts]
    parts += [facts[name] for name in ("error", "id") if name in facts]
    return one_line(" ".join(map(str, parts)))
