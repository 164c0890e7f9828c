"""Which picture comes when, and with which random numbers: pure functions of seed, epoch and position.

Nothing depends on how many processes or workers there are, so that a run can be resumed, and repeated elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

Item = tuple[int, int]  # index of the picture, seed of its augmentation


@dataclass(frozen=True)
class Order:
    """The order of training. A step takes `batch_size` pictures, dealt to `world` processes in `parts` parts each.

    targets: int64 [N], needed for `balanced` only. Pictures left over after the last whole step are left out of an epoch.
    """

    count: int
    batch_size: int
    seed: int = 0
    repeats: int = 1
    sampler: str = "shuffle"
    targets: np.ndarray | None = None
    world: int = 1
    rank: int = 0
    parts: int = 1

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return self.count // self.batch_size

    def indices(self, epoch: int) -> np.ndarray:
        """Return the epoch's pictures for all processes, int64 [steps * batch_size]."""
        rng = np.random.default_rng([self.seed, epoch])
        return SAMPLERS[self.sampler](self, rng)[: self.steps * self.batch_size]

    def _shuffled(self, rng: np.random.Generator) -> np.ndarray:
        """Repeated augmentation (arXiv 1902.05509): each picture several times in a row, the epoch as long as ever."""
        return np.repeat(rng.permutation(self.count), self.repeats)

    def _balanced(self, rng: np.random.Generator) -> np.ndarray:
        """Classes equally often, the pictures of a class in random order and again from its beginning."""
        assert self.targets is not None
        members = [rng.permutation(np.flatnonzero(self.targets == c)) for c in np.unique(self.targets)]
        each = -(-self.count // len(members))
        return rng.permutation(np.concatenate([np.resize(m, each) for m in members]))[: self.count]

    def part_batches(self, epoch: int, first_step: int = 0) -> Iterator[list[Item]]:
        """Yield this process's parts of the steps from `first_step` on, `parts` of them a step."""
        order = self.indices(epoch)
        size = self.batch_size // (self.world * self.parts)
        for step in range(first_step, self.steps):
            for part in range(self.parts):
                start = step * self.batch_size + (part * self.world + self.rank) * size
                yield [(int(order[i]), sample_seed(self.seed, epoch, i)) for i in range(start, start + size)]


SAMPLERS: dict[str, Callable[[Order, np.random.Generator], np.ndarray]] = {
    "shuffle": Order._shuffled,
    "balanced": Order._balanced,
}
ONE_LABEL = ("balanced",)  # the samplers that need one label a picture


def sample_seed(seed: int, epoch: int, position: int) -> int:
    """Seed of what is random about one picture, unlike any other's: the three numbers side by side."""
    return (seed << 96) | (epoch << 64) | position


def update_seed(seed: int, update: int, rank: int) -> int:
    """Seed below 2**63 of what is random about one step in one process: dropout, mixing, the noise of erasing."""
    return int(np.random.SeedSequence([seed, update, rank]).generate_state(1, np.uint64)[0] >> 1)
