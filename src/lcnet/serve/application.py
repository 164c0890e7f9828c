"""The ASGI application: what is done for every request, whatever its route. Ids, tokens, headers, errors, numbers, the log."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router

from .exchange import Exchange, Gone
from .health import Health
from .huggingface import HuggingFace
from .openapi import document
from .pages import PUBLIC, pages
from .refusals import Refused, refusal
from .routes import Routes
from .service import Service, json_response
from .v2 import OpenInference

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

GONE = 499  # the status of the log and the numbers where nobody was left to answer
# Of every answer; a page's own Content-Security-Policy comes instead.
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",
}
EXPOSED = ["X-Request-ID", "Server-Timing", "Retry-After", "X-Model", "Inference-Header-Content-Length"]
ASKED = ["Authorization", "Content-Type", "X-Request-ID", "Inference-Header-Content-Length"]
_OF_HTTP = {404: "not_found", 405: "method"}


class Application:
    """A server of models as an ASGI application: run it with uvicorn, or mount it in another one."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._tokens = [token.encode() for token in service.limits.tokens]
        self._router = Router(self._routes(), redirect_slashes=False, default=_not_found)
        self._handle: Any = self._answer
        if service.limits.cors_origins:
            origins, methods = list(service.limits.cors_origins), ["GET", "POST"]
            self._handle = CORSMiddleware(self._answer, origins, methods, ASKED, expose_headers=EXPOSED)

    def _routes(self) -> list[BaseRoute]:
        return [
            *Health(self.service).routes(),
            *Routes(self.service).routes(),
            *OpenInference(self.service).routes(),
            *HuggingFace(self.service).routes(),
            Route("/openapi.json", document, methods=["GET"]),
            *pages(),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI."""
        if scope["type"] == "http":
            await self._handle(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.get_running_loop().run_in_executor(None, self.close)
        await send({"type": "lifespan.shutdown.complete"})

    def close(self) -> None:
        """End the threads."""
        self.service.work.workers.close()
        self.service.log.close()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        scope["lcnet.exchange"], scope["app"] = exchange, self

        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = self._headers(exchange, message["headers"])
            await send(message)

        try:
            await self._served(scope, receive, sent, exchange)
        except Gone:
            exchange.status = GONE
        except asyncio.CancelledError:
            exchange.status = exchange.status or GONE
            raise
        finally:
            self._over(scope, exchange)

    async def _served(self, scope: Scope, receive: Receive, send: Send, exchange: Exchange) -> None:
        try:
            self._check(scope, exchange)
            await self._router(scope, receive, send)
        except (Gone, asyncio.CancelledError):
            raise
        except Exception as error:
            refused = _of_http(error) if isinstance(error, HTTPException) else refusal(error)
            if refused is not error and refused.status >= 500:
                self.service.log.failure(exchange, error)
            if exchange.status:  # its answer has begun: it cannot become another
                raise
            exchange.code = refused.code
            await self._error(scope, exchange, refused)(scope, receive, send)

    def _error(self, scope: Scope, exchange: Exchange, refused: Refused) -> Response:
        said: Any = {**refused.to_dict(), "request_id": exchange.id}
        if _path(scope).startswith("/v2/"):
            said = refused.message  # that protocol prescribes a text
        return json_response({"error": said}, refused.status, refused.headers)

    def _check(self, scope: Scope, exchange: Exchange) -> None:
        """Refuse who shows no token, and what a page of another site asks for. Raises `Refused`."""
        path = _path(scope)
        if self._tokens and not path.startswith(PUBLIC) and path not in ("/", "/docs", "/openapi.json"):
            self._check_token(exchange)
        if scope["method"] == "POST" and exchange.headers.get(b"sec-fetch-site") == b"cross-site":
            allowed = self.service.limits.cors_origins
            if "*" not in allowed and exchange.headers.get(b"origin", b"").decode("latin-1") not in allowed:
                raise Refused("forbidden", "pages of other sites may not ask this server: see --cors-origin")

    def _check_token(self, exchange: Exchange) -> None:
        scheme, _, given = exchange.headers.get(b"authorization", b"").partition(b" ")
        good = [hmac.compare_digest(given.strip(), token) for token in self._tokens]  # all of them, whichever it is
        if scheme.lower() != b"bearer" or not any(good):
            what = "this server asks for a token: send it as 'Authorization: Bearer TOKEN'"
            raise Refused("unauthorized", what, {"www-authenticate": "Bearer"})

    def _headers(self, exchange: Exchange, given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """The headers of an answer, with those that all have."""
        names = {name for name, _ in given}
        more = [(name, value) for name, value in HEADERS.items() if name not in names]
        more.append((b"x-request-id", exchange.id.encode()))
        if exchange.timing is not None:
            more.append((b"server-timing", exchange.timing.header().encode()))
        if self.service.draining or exchange.must_close:
            more.append((b"connection", b"close"))
        return [*given, *more]

    def _over(self, scope: Scope, exchange: Exchange) -> None:
        route = scope.get("route")
        exchange.route = getattr(route, "path", None) or "other"
        self.service.served += 1
        self.service.metrics.answered(exchange)
        if not exchange.route.startswith("/health/") or exchange.status >= 400:
            self.service.log.request(exchange)


def _path(scope: Scope) -> str:
    """The path below where the application is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _of_http(error: HTTPException) -> Refused:
    code = _OF_HTTP.get(error.status_code, "bad_request")
    what = (
        "there is nothing at this address: /docs says what there is"
        if code == "not_found"
        else "this address takes other methods"
    )
    return Refused(code, what, error.headers)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    raise HTTPException(404)
