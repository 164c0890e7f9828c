"""The pages: files that lie beside this module, read once, with a policy that lets them ask nobody but this server."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .refusals import Refused

FOLDER = Path(__file__).with_name("page")
PUBLIC = ("/health/", "/page/")  # what is there without a token, beside the pages themselves
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "media-src 'self' blob:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-cache",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
HEAD = "head.html"  # what the heads of all pages begin with
AT = {"/": "index.html", "/docs": "docs.html"}


def pages(folder: Path = FOLDER) -> list[Route]:
    """The routes of the pages and of what they are made of."""
    files = {path.name: path.read_bytes() for path in sorted(folder.glob("*")) if path.suffix in TYPES}
    head = files.pop(HEAD)
    for name in AT.values():
        files[name] = files[name].replace(b"{{head}}\n", head)

    def answer(name: str) -> Response:
        if name not in files:
            raise Refused("not_found", "there is no such page")
        return Response(files[name], headers=HEADERS, media_type=TYPES[Path(name).suffix])

    async def page(request: Request) -> Response:
        return answer(AT[request.scope["route"].path])

    async def part(request: Request) -> Response:
        return answer(request.path_params["name"])

    return [*(Route(path, page, methods=["GET"]) for path in AT), Route("/page/{name}", part, methods=["GET"])]
