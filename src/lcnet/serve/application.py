"""The ASGI application: what is done for every request, whatever its route. Ids, tokens, headers, errors, numbers, the log."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .addresses import Addresses, Scope, path_of
from .exchange import Exchange, Gone
from .health import Health
from .huggingface import HuggingFace
from .openapi import document
from .pages import PUBLIC, pages
from .refusals import Refused, forget, refusal
from .routes import Routes
from .service import Service, json_response
from .v2 import OpenInference

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

GONE = 499  # the status of the log and the numbers where nobody was left to answer
# Of every answer; those of a page come instead.
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
EXPOSED = ["X-Request-ID", "Server-Timing", "Retry-After", "X-Model", "Inference-Header-Content-Length"]
ASKED = ["Authorization", "Content-Type", "X-Request-ID", "Inference-Header-Content-Length"]


class Application:
    """A server of models as an ASGI application: run it with uvicorn, or mount it in another one."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._tokens = [token.encode() for token in service.limits.tokens]
        self._addresses = Addresses(self._routes())
        self._handle: Any = self._answer
        if service.limits.cors_origins:
            origins, methods = list(service.limits.cors_origins), ["GET", "POST"]
            self._handle = CORSMiddleware(self._answer, origins, methods, ASKED, expose_headers=EXPOSED)

    def _routes(self) -> list[Route]:
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
        try:
            response = await self._response(scope, receive, exchange)
            exchange.status = response.status_code
            await response(scope, receive, send)
        except Gone as gone:
            exchange.status = GONE
            forget(gone)
        except asyncio.CancelledError:
            exchange.status = exchange.status or GONE
            raise
        finally:
            self.over(exchange, scope["route"].path if "route" in scope else exchange.route)

    async def _response(self, scope: Scope, receive: Receive, exchange: Exchange) -> Response:
        """What a request is answered, an error too. Raises `Gone`."""
        try:
            self.check(scope, exchange)
            response: Response = await self._addresses.find(scope).endpoint(Request(scope, receive))
            return self._with_headers(exchange, response)
        except Gone:
            raise
        except Exception as error:
            return self._failed(scope, exchange, error)

    def _failed(self, scope: Scope, exchange: Exchange, error: Exception) -> Response:
        refused = refusal(error)
        if refused is not error and refused.status >= 500:
            self.service.log.failure(exchange, error)
        forget(error)
        return self.error(exchange, refused, path_of(scope).startswith("/v2/"))

    def error(self, exchange: Exchange, refused: Refused, short: bool = False) -> Response:
        """The answer to a request that is refused. short: as the protocol of version 2 prescribes it, a text."""
        exchange.code = refused.code
        said: Any = refused.message if short else {**refused.to_dict(), "request_id": exchange.id}
        return self._with_headers(exchange, json_response({"error": said}, refused.status, refused.headers))

    def check(self, scope: Scope, exchange: Exchange) -> None:
        """Refuse who shows no token, and what a page of another site asks for. Raises `Refused`."""
        path = path_of(scope)
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

    def _with_headers(self, exchange: Exchange, response: Response) -> Response:
        """An answer with the headers that all have, beside its own."""
        names = {name for name, _ in response.raw_headers}
        more = [header for header in HEADERS if header[0] not in names]
        more.append((b"x-request-id", exchange.id.encode()))
        if exchange.timing is not None:
            more.append((b"server-timing", exchange.timing.header().encode()))
        if self.service.draining or exchange.must_close:
            more.append((b"connection", b"close"))
        response.raw_headers.extend(more)
        return response

    def over(self, exchange: Exchange, route: str) -> None:
        """Count a request that is over, and log it."""
        exchange.route = route
        self.service.served += 1
        self.service.metrics.answered(exchange)
        if exchange.status >= 400 or not route.startswith("/health/"):
            self.service.log.request(exchange)
