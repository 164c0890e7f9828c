"""Which pictures an update takes: by what FILE has of each name, and by the size and time that its picture then had.

The rules, for the first source of a name: it is taken if FILE has nothing of it, or an error, or if its stamp is another. A
name that comes more often, as two members of one archive may, has as many rows. Of rows whose stamp nobody knows, the
picture is believed to be the one that it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..sources.stamp import Stamp

NEW, CHANGED, FAILED, SAME = "new", "changed", "failed", "same"


class Picture:
    """What is known of one name. `rows`, `failed`, `stamp`: of FILE and journal together; the rest is `Known`'s."""

    __slots__ = ("failed", "redo", "replaced", "room", "rows", "seen", "since", "stamp", "stored")

    def __init__(self) -> None:
        self.rows = self.room = self.seen = self.since = 0
        self.stamp: Stamp | None = None
        self.failed = self.replaced = self.redo = self.stored = False


class Known:
    """All pictures by name; about 300 bytes each. `wants` may be asked by another thread than the one that tells the rest."""

    def __init__(self, prune: bool = False) -> None:
        self.pictures: dict[str, Picture] = {}
        self.prune = prune
        self.taken: Counter[str] = Counter()  # sources by kind
        self.believed = 0  # pictures whose stamp nobody knew
        self.there = False  # whether there was any picture that FILE had and that is as it was

    def has(self, name: str, failed: bool) -> None:
        """FILE has a row."""
        picture = self._of(name)
        picture.rows += 1
        picture.failed |= failed
        picture.stored = True

    def stamped(self, name: str, stamp: Stamp) -> None:
        """Its picture had this stamp."""
        if name in self.pictures:
            self.pictures[name].stamp = stamp

    def answered(self, number: int, name: str, failed: bool, again: bool, stamp: Stamp | None) -> None:
        """The journal has a record, its number-th; `again`: all before of this name counts no more."""
        picture = self._of(name)
        if again:
            picture.rows, picture.failed, picture.since, picture.replaced = 0, False, number, True
        picture.rows += 1
        picture.failed |= failed
        picture.stamp = stamp

    def wants(self, name: str, stamp: Stamp | None, gone: bool) -> bool | None:
        """Whether a source takes the place of what there was of its name (True), is one more (False), or is left (None)."""
        picture = self._of(name)
        if gone and picture.rows and not picture.failed and not self.prune:
            return None
        if not picture.seen:
            self._decide(picture, stamp)
        picture.seen += 1
        if picture.redo:
            return picture.seen == 1
        return None if picture.seen <= picture.room else False

    def _decide(self, picture: Picture, stamp: Stamp | None) -> None:
        """Once a name, for the rest of the run: other threads change what there is of it meanwhile."""
        picture.room = picture.rows
        kind = NEW if not picture.rows else FAILED if picture.failed else SAME
        if kind == SAME and picture.stamp is None and stamp is not None:
            picture.stamp = stamp
            self.believed += 1
        if kind == SAME and (stamp is None or stamp != picture.stamp):
            kind = CHANGED
        picture.redo = kind != SAME
        self.there |= kind == SAME
        self.taken[kind] += 1

    def stays(self, name: str) -> bool:
        """Whether the rows that FILE has of a name stay, when all that is there is in the journal or was seen."""
        picture = self.pictures[name]
        return not picture.replaced and not (self.prune and not picture.seen)

    def drops(self) -> bool:
        """Whether some row of FILE does not stay."""
        return any(picture.stored and not self.stays(name) for name, picture in self._all())

    def since(self, name: str) -> int:
        """The number of the first record of a name that counts; of a picture that has gone, one that no record has."""
        picture = self.pictures[name]
        return picture.since if picture.seen or not self.prune else 1 << 62

    def unseen(self) -> int:
        """How many pictures have rows and did not come."""
        return sum(1 for _, picture in self._all() if picture.rows and not picture.seen)

    def stamps(self) -> Iterator[tuple[str, Stamp]]:
        """The stamps of all pictures that have rows and stay."""
        for name, picture in self._all():
            if picture.stamp is not None and picture.rows and (picture.seen or not self.prune):
                yield name, picture.stamp

    def _all(self) -> list[tuple[str, Picture]]:
        """All of them at this moment: sources may still be looked for when a run is stopped."""
        return list(self.pictures.items())

    def _of(self, name: str) -> Picture:
        picture = self.pictures.get(name)
        if picture is None:
            picture = self.pictures[name] = Picture()
        return picture
