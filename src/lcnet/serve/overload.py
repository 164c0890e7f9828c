"""Requests to a server that has no place for them, refused by their heads before anything else is made for them.

The answer is the one that `Application` gives, at a tenth of the cost: under overload most requests are refused, and who is
served pays for it. What needs more than a look at its head goes the usual way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .exchange import Exchange
from .limits import MB
from .refusals import Refused

if TYPE_CHECKING:
    from .application import Application

SKIPPED = MB  # bytes of a body that is read and forgotten
PATHS = ("/v1/classify", "/v1/embed", "/v1/features")
UNUSUAL = (b"origin", b"expect", b"transfer-encoding", b"content-encoding", b"traceparent")  # headers of which more is asked
ID = "{id}"  # the place of a request's id in an answer


class Overload:
    """The refusals of one application."""

    def __init__(self, application: Application) -> None:
        self._app, self._gate = application, application.service.gate
        self._most = min(SKIPPED, application.service.limits.max_body)
        self._head, self._body = self._written(self._gate.full())

    def answer(self, scope: Any) -> bytes | None:
        """All bytes of the answer to a request that is refused, counted and logged; None for one to be looked at."""
        if self._gate.free or scope["method"] != "POST" or scope["path"] not in PATHS or self._app.service.draining:
            return None
        exchange = Exchange.of(scope)
        if not 0 < (exchange.length or 0) <= self._most or any(name in exchange.headers for name in UNUSUAL):
            return None
        try:
            self._app.check(scope, exchange)
        except Refused:
            return None
        exchange.status, exchange.code = 503, "overloaded"
        self._app.over(exchange, scope["path"])
        body = self._body.replace(ID, exchange.id)
        return f"{self._head.replace(ID, exchange.id)}content-length: {len(body)}\r\n\r\n{body}".encode()

    def _written(self, refused: Refused) -> tuple[str, str]:
        """Head and body of the answer to a request named `ID`, the length left out."""
        exchange = Exchange("POST", ID, "", {}, body_read=True)
        response = self._app.error(exchange, refused)
        lines = [f"{name.decode()}: {value.decode()}" for name, value in response.raw_headers if name != b"content-length"]
        return "\r\n".join(["HTTP/1.1 503 Service Unavailable", *lines, ""]), bytes(response.body).decode()
