"""The pages: files of web/page, read once, with a policy that lets them ask nobody but this server."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .refusals import Refused

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
PARTS = ("head.html", "body.html")  # what stands in pages as {{head}} and {{body}}
AT = {"/": "http/index.html", "/docs": "http/docs.html"}


def folder(module: Path = Path(__file__)) -> Path:
    """The pages' files: `page` beside this module, where an installation puts web/page, or in a checkout that one itself."""
    beside = module.with_name("page")
    return beside if beside.is_dir() else module.parents[3] / "web" / "page"


def pages(root: Path | None = None) -> list[Route]:
    """The routes of the pages and of what they are made of: what is at the root, and the back end of a server."""
    root = root or folder()
    paths = [*root.glob("*"), *(root / "http").glob("*")]
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(paths) if path.suffix in TYPES}
    parts = {name.partition(".")[0]: files.pop(name) for name in PARTS}
    for name in AT.values():
        for place, text in parts.items():
            files[name] = files[name].replace(b"{{%s}}\n" % place.encode(), text)

    def answer(name: str) -> Response:
        if name not in files:
            raise Refused("not_found", "there is no such page")
        return Response(files[name], headers=HEADERS, media_type=TYPES[Path(name).suffix])

    async def page(request: Request) -> Response:
        return answer(AT[request.scope["route"].path])

    async def part(request: Request) -> Response:
        return answer(request.path_params["name"])

    return [*(Route(path, page, methods=["GET"]) for path in AT), Route("/page/{name:path}", part, methods=["GET"])]
