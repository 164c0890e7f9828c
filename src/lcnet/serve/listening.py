"""The socket that a server listens on: bound before a model is loaded, so that a port that is taken is told at once."""

from __future__ import annotations

import socket

from ..errors import InputError
from ..text import reason

BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound and listens. Raises `InputError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        found.bind((host, port))
        found.listen(BACKLOG)
    except OSError as error:
        found.close()
        raise InputError(f"{host} port {port}: cannot be listened on: {reason(error)}") from None
    found.setblocking(False)
    return found


def address(listening: socket.socket) -> str:
    """The address of a listening socket, as a browser takes it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
