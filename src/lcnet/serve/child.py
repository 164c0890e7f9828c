"""One of several processes that serve together: started by `supervise`, with a channel to it and the socket to listen on.

python -m lcnet.serve.child CHANNEL LISTENING     (numbers of open files; the plan is the channel's first line)
"""

from __future__ import annotations

import json
import socket
import sys

from ..errors import LcnetError
from .plan import Plan
from .process import frugal, responsive


def main(channel: int, listening: int) -> None:
    """Serve until the supervisor says so, or is gone."""
    frugal()
    control = socket.socket(fileno=channel)
    plan = Plan.from_json(_first_line(control))
    try:
        application = plan.application()
    except (LcnetError, OSError, MemoryError) as error:
        control.sendall(_failure(str(error) or type(error).__name__))
        sys.exit(1)
    from .member import Member
    from .server import Server, serve

    responsive()
    application.service.peers = Member(application.service, control)
    serve(Server(application, plan.drain_delay, plan.grace), socket.socket(fileno=listening))


def _first_line(control: socket.socket) -> str:
    line = b""
    while not line.endswith(b"\n"):
        line += control.recv(1)  # no byte of what comes after
    return line.decode()


def _failure(message: str) -> bytes:
    return json.dumps({"ask": "failed", "values": [message], "number": 0}).encode() + b"\n"


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
