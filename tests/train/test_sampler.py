import numpy as np
import pytest

from lcnet.train.sampler import Order, sample_seed, update_seed


def test_an_epoch_has_every_picture_once_but_those_left_over():
    order = Order(count=23, batch_size=5, seed=3)
    indices = order.indices(0)
    assert order.steps == 4 and len(indices) == 20
    assert len(set(indices.tolist())) == 20


def test_epochs_and_seeds_differ_and_repeat():
    one, other = Order(50, 10, seed=1), Order(50, 10, seed=2)
    assert not np.array_equal(one.indices(0), one.indices(1))
    assert not np.array_equal(one.indices(0), other.indices(0))
    assert np.array_equal(one.indices(4), Order(50, 10, seed=1).indices(4))


@pytest.mark.parametrize(("world", "parts"), [(1, 1), (2, 1), (1, 2), (2, 2), (4, 3)])
def test_processes_and_parts_share_the_steps_of_one(world, parts):
    whole = list(Order(100, 24, seed=7).part_batches(2))
    shares = [list(Order(100, 24, 7, world=world, rank=r, parts=parts).part_batches(2)) for r in range(world)]
    for step, batch in enumerate(whole):
        dealt = [shares[rank][step * parts + part] for part in range(parts) for rank in range(world)]
        assert [item for share in dealt for item in share] == batch  # pictures and seeds


def test_a_later_step_begins_where_the_earlier_would_have_gone_on():
    order = Order(100, 10, seed=7, parts=2)
    assert list(order.part_batches(1, first_step=3)) == list(order.part_batches(1))[6:]


def test_repeated_augmentation_keeps_the_length_and_varies_the_seeds():
    order = Order(60, 12, repeats=3)
    items = [item for batch in order.part_batches(0) for item in batch]
    indices, counts = np.unique([index for index, _ in items], return_counts=True)
    assert len(items) == 60 and len(indices) == 20 and set(counts) == {3}
    assert len({seed for _, seed in items}) == 60


def test_balanced_classes_come_equally_often():
    targets = np.array([0] * 90 + [1] * 9 + [2])
    order = Order(100, 10, sampler="balanced", targets=targets)
    drawn = np.concatenate([order.indices(epoch) for epoch in range(5)])
    counts = np.bincount(targets[drawn])
    assert counts.sum() == 500 and counts.min() >= 155 and counts.max() <= 180
    assert set(drawn[targets[drawn] == 1]) == set(range(90, 99))


def test_no_two_pictures_or_steps_share_a_seed():
    assert len({sample_seed(s, e, p) for s in range(3) for e in range(5) for p in range(100)}) == 1500
    assert len({update_seed(s, u, r) for s in range(3) for u in range(50) for r in range(4)}) == 600
    assert all(0 <= update_seed(0, u, 0) < 1 << 63 for u in range(100))
