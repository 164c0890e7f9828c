"""`lcnet serve`."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from ..errors import InputError
from ..text import plain, reason
from .codes import Misuse
from .complete import ModelName
from .options import DEFAULT_MODEL, say

F = TypeVar("F", bound=Callable[..., Any])
LOOPBACK = "127.0.0.1"
_PROCESS = (
    "threads",
    "queue",
    "timeout",
    "read_timeout",
    "max_body",
    "max_pixels",
    "max_images",
    "max_connections",
    "keep_below",
)


def _option(name: str, *names: str, **options: Any) -> Callable[[F], F]:
    """An option that is also the environment variable LCNET_NAME."""
    variable = "LCNET_" + name[2:].upper().replace("-", "_")
    return click.option(name, *names, envvar=variable, show_default="default" in options, **options)


@click.command()
@click.argument("models", nargs=-1, type=ModelName(), metavar="[MODEL | NAME=MODEL]...", envvar="LCNET_MODELS")
@_option("--host", default=LOOPBACK, help="Where to listen; other than this machine's own address needs --token-file.")
@_option("--port", default=8000, type=click.IntRange(0, 65535), help="0 takes a free one.")
@_option("--threads", type=click.IntRange(1), help="Pictures at once, in each process.  [default: its part of the processors]")
@_option("--processes", default=1, type=click.IntRange(1, 256), help="More than one where there are more than 4 processors.")
@_option("--queue", type=click.IntRange(0), help="Requests that may wait, in each process.  [default: 32 a thread]")
@_option("--timeout", default=10.0, type=click.FloatRange(0, min_open=True), help="Seconds for an answer, waiting included.")
@_option("--read-timeout", default=10.0, type=click.FloatRange(0, min_open=True), help="Seconds for headers, and for a body.")
@_option("--max-body", default=10_000_000, type=click.IntRange(1), help="Bytes of a request.")
@_option("--max-pixels", default=50_000_000, type=click.IntRange(1), help="Refuse larger pictures, by their header.")
@_option("--max-images", default=32, type=click.IntRange(1), help="Pictures of a request.")
@_option("--max-connections", default=2000, type=click.IntRange(1), help="Connections of each process.")
@_option("--token-file", type=click.Path(path_type=Path, dir_okay=False), help="Tokens, one a line; a request must show one.")
@_option("--cors-origin", "cors_origins", multiple=True, metavar="ORIGIN", help="A site whose pages may ask; may be repeated.")
@_option("--drain-delay", default=0.0, type=click.FloatRange(0), help="Seconds from SIGTERM to the end of listening.")
@_option("--grace", default=30.0, type=click.FloatRange(1), help="Seconds then for requests to be finished.")
@_option("--log-format", type=click.Choice(["text", "json", "none"]), default="text", help="A line a request.")
@_option("--insecure", is_flag=True, help="Listen to other machines without a token.")
@_option("--keep-uncertain", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Keep pictures to label.")
@_option("--keep-below", default=0.5, type=click.FloatRange(0, 1), help="The probability below which one is uncertain.")
@_option("--isa", help="Kernels to use; `lcnet info --cpu` lists them.")
@_option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", help="bf16 where the CPU has it.")
@_option(
    "--decode",
    type=click.Choice(["exact", "fast"]),
    default="exact",
    help="fast: JPEG files far larger than the input are decoded at a fraction of their size.",
)
def serve(models: tuple[str, ...], **given: Any) -> None:
    """Serve models over HTTP: pictures in, classes, embeddings and feature maps out, and a page to try them.

    The first MODEL answers where a request names none; each option is also an environment variable, LCNET_PORT for --port.
    """
    from ..serve import check_extra

    tokens = _tokens(given["token_file"])
    _check_host(given["host"], bool(tokens), given["insecure"])
    limits = {name: given[name] for name in _PROCESS}
    limits |= {"tokens": tokens, "cors_origins": list(given["cors_origins"])}
    options = {name: given[name] for name in ("isa", "precision", "decode")}
    check_extra()
    from ..serve.plan import Plan
    from ..serve.supervise import run

    plan = Plan(
        models=list(models or [DEFAULT_MODEL]),
        options=options,
        limits=limits,
        log=given["log_format"],
        keep_uncertain=None if given["keep_uncertain"] is None else str(given["keep_uncertain"]),
        host=given["host"],
        port=given["port"],
        processes=given["processes"],
        drain_delay=given["drain_delay"],
        grace=given["grace"],
    )
    run(plan, partial(say, err=True))


def _tokens(path: Path | None) -> list[str]:
    """The tokens of a file. Raises `InputError`, which names no token."""
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError) as error:
        what = "it is no ASCII text" if isinstance(error, ValueError) else reason(error)
        raise InputError(f"--token-file {plain(path)}: {what}") from None
    tokens = [line.strip() for line in lines if line.strip()]
    if not tokens or any(len(token) < 16 for token in tokens):
        raise InputError(f"--token-file {plain(path)}: expected tokens of 16 characters or more, one a line")
    return tokens


def _check_host(host: str, has_token: bool, insecure: bool) -> None:
    """Raise `Misuse` for a server that any other machine could use."""
    try:
        own = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        own = False
    if not (own or has_token or insecure):
        raise Misuse(
            f"--host {plain(host)} lets other machines in: give a --token-file, or --insecure where something in front checks"
        )
