"""Pictures that are worth labelling: those of which a model is unsure are kept, if it was asked for, and never too many.

A picture is a file named by its sha256, with what was answered in a JSON file beside it. When the folder is full, nothing
more is kept.
"""

from __future__ import annotations

import hashlib
import threading
from contextlib import suppress
from pathlib import Path
from queue import Full, Queue

from ..files import write_atomically
from ..formats import json_text
from ..runtime import Result
from ..sources.formats import START, format_of
from .limits import MB

MOST = 1000  # pictures
MOST_BYTES = 500 * MB
WAITING = 4  # pictures held until they are written; what comes meanwhile is not kept


class Keeper:
    """Keeps uncertain pictures in a folder, in a thread of its own. sharing: processes that keep theirs in the same folder."""

    def __init__(self, folder: Path, below: float, sharing: int = 1) -> None:
        self.folder, self.below, self.sharing = folder, below, sharing
        folder.mkdir(parents=True, exist_ok=True)
        self._full = False
        self._queue: Queue[tuple[bytes, str, Result]] = Queue(WAITING)
        threading.Thread(target=self._keep_all, name="lcnet-uncertain", daemon=True).start()

    def offer(self, data: bytes, model: str, result: Result, multi_label: bool) -> None:
        """Keep a picture if it is worth it. Never waits."""
        if not self._full and self.wanted(result, multi_label):
            with suppress(Full):
                self._queue.put_nowait((data, model, result))

    def wanted(self, result: Result, multi_label: bool) -> bool:
        """Whether an answer is uncertain: unknown, its best class below the bound, or of several labels one near a half."""
        if not result.known:
            return True
        if multi_label:
            return any(0.4 <= p.probability <= 0.6 for p in result.top)
        return result.probability < self.below

    def _keep_all(self) -> None:
        while True:
            with suppress(OSError):  # a full disk: pictures are served all the same
                self._keep(*self._queue.get())

    def _keep(self, data: bytes, model: str, result: Result) -> None:
        row = format_of(data[:START])
        name = hashlib.sha256(data).hexdigest()
        path = self.folder / (name + (row.suffixes.split()[0] if row else ".bin"))
        if not path.exists() and self._has_room(len(data)):
            write_atomically(path, data)
            write_atomically(self.folder / f"{name}.json", json_text({"model": model, **result.to_dict()}).encode())

    def _has_room(self, size: int) -> bool:
        """Whether another picture may be kept, even if all processes keep one like it at this moment."""
        sizes = [path.stat().st_size for path in self.folder.iterdir() if path.suffix != ".json"]
        self._full = len(sizes) + self.sharing > MOST
        return not self._full and sum(sizes) + size * self.sharing <= MOST_BYTES
