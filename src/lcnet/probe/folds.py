"""Which pictures are measured together while the others are learned from: every class in every part, copies never apart."""

from __future__ import annotations

import numpy as np

FOLDS = 5
BURST = 3  # pictures that may be of one moment, however few there are of their class


def folds_of(targets: np.ndarray, groups: np.ndarray, count: int = FOLDS, seed: int = 0) -> np.ndarray:
    """The fold of each picture, int64 [N], from targets, int64 [N] or uint8 [N,K], and groups that stay together.

    Of each class the groups are dealt out, larger ones first, to the fold that has the fewest pictures of the class; so a class
    of two groups is never in one fold alone. Of several labels a picture the rarest is its class.
    """
    strata = _rarest(targets) if targets.ndim == 2 else targets
    rng = np.random.default_rng(seed)
    ids, first, group, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    place, have = np.zeros(len(ids), np.int64), np.zeros((int(strata.max()) + 1, count), np.int64)
    order = rng.permutation(len(ids))
    for g in order[np.argsort(-sizes[order], kind="stable")].tolist():
        stratum = int(strata[first[g]])
        fewest = np.lexsort((have.sum(0), have[stratum]))[0]
        place[g] = fewest
        have[stratum, fewest] += sizes[g]
    return place[group.reshape(-1)]


def apart(targets: np.ndarray, copies: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, int]:
    """Groups of near-copies, int64 [N], but of large ones only equal bytes; and how many pictures those have.

    Where more than a fifth of a class looks nearly alike, as what a camera that never moves sees, that is no copying: the
    classes differ by less. Of several labels a picture a twentieth of all.
    """
    ids, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    group = group.reshape(-1)
    of_class = np.full(len(targets), len(targets) / 4) if targets.ndim == 2 else np.bincount(targets)[targets]
    bound = np.full(len(ids), np.inf)
    np.minimum.at(bound, group, of_class / 5)
    large = (sizes > np.maximum(bound, BURST))[group]
    return np.where(large, copies + groups.max() + 1, groups), int(large.sum())


def _rarest(targets: np.ndarray) -> np.ndarray:
    counts = targets.sum(0, np.int64)
    ranked = np.where(targets > 0, counts, counts.max() + len(targets) + 1)
    return np.where(targets.any(axis=1), ranked.argmin(axis=1), targets.shape[1])


def drawn(targets: np.ndarray, groups: np.ndarray, a_class: int, seed: int) -> np.ndarray:
    """The rows of about so many pictures a class, whole groups in random order; of several labels a picture as many in all."""
    rng = np.random.default_rng(seed)
    several = targets.ndim == 2
    classes = targets.shape[1] if several else int(targets.max()) + 1
    strata, most = (np.zeros(len(targets), np.int64), a_class * classes) if several else (targets, a_class)
    have, taken = np.zeros(classes, np.int64), np.zeros(len(targets), bool)
    ids, group = np.unique(groups, return_inverse=True)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    for g in rng.permutation(len(ids)).tolist():
        stratum = int(strata[members[g][0]])
        if have[stratum] < most:
            taken[members[g]] = True
            have[stratum] += len(members[g])
    return np.flatnonzero(taken)
