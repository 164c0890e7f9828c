"""Whether it answers at all, and whether it takes requests: one truth at our own addresses and at those of the protocol."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .refusals import Refused
from .service import Service, json_response


class Health:
    """Endpoints over one service."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def routes(self) -> list[Route]:
        """All of them."""
        ends = {"live": self.live, "ready": self.ready}
        return [Route(f"{top}/{name}", end, methods=["GET"]) for top in ("/health", "/v2/health") for name, end in ends.items()]

    async def live(self, request: Request) -> Response:
        """Whether the process answers at all."""
        return json_response({"live": True})

    async def ready(self, request: Request) -> Response:
        """Whether all processes take requests."""
        if not self.service.peers.ready():
            raise Refused("not_ready", "the server is starting, or is about to stop")
        return json_response({"ready": True})
