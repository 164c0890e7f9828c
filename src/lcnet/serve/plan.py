"""What `lcnet serve` was asked for, as plain values: each of its processes makes the same server of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ..cpus import usable_cpus

if TYPE_CHECKING:
    from .application import Application


@dataclass
class Plan:
    """Models, and how they are served."""

    models: list[str]
    options: dict[str, Any] = field(default_factory=dict)  # of `lcnet.load`
    limits: dict[str, Any] = field(default_factory=dict)
    log: str = "text"
    keep_uncertain: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    processes: int = 1
    drain_delay: float = 0.0
    grace: float = 30.0

    def to_json(self) -> str:
        """The plan as text, for another process. It has the tokens: not for arguments, environments or logs."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """What `to_json` was called on."""
        return cls(**json.loads(text))

    def application(self) -> Application:
        """Load the models and make the application of one process. Raises as `lcnet.serve.app` does."""
        from .making import make

        limits = {**self.limits, "threads": self.limits.get("threads") or max(1, usable_cpus() // self.processes)}
        return make(self.models, self.options, self.log, self.keep_uncertain, limits, self.processes)
