"""The averaged weights against timm's ModelEmaV2 and V3."""

import copy
import io

import pytest

from lcnet.errors import InputError


@pytest.fixture
def net(torch):
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Flatten(), torch.nn.Linear(72, 4))


@pytest.fixture
def train(torch, net):
    """Change the weights and, by running it, the statistics of `net`, as a step of training does."""
    generator = torch.Generator().manual_seed(1)

    def step():
        net.train()(torch.randn(6, 3, 5, 5, generator=generator))
        with torch.no_grad():
            for p in net.parameters():
                p.add_(torch.randn(p.shape, generator=generator), alpha=0.1)

    return step


def floats(module):
    return {k: v for k, v in module.state_dict().items() if v.is_floating_point()}


@pytest.mark.parametrize(("version", "warmup", "decay"), [(2, False, 0.9), (3, False, 0.9), (3, True, 0.9999), (3, True, 0.6)])
def test_equal_to_timm(torch, timm, net, train, version, warmup, decay):
    from lcnet.train.ema import Ema

    if version == 2:
        peer = timm.utils.ModelEmaV2(net, decay=decay)
    else:
        peer = timm.utils.ModelEmaV3(net, decay=decay, use_warmup=warmup)
    ema = Ema(net, decay, version, warmup)
    for count in range(1, 31):
        train()
        ema.update(net)
        peer.update(net) if version == 2 else peer.update(net, step=count)
        ours, theirs = floats(ema.module), floats(peer.module)
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
        assert ema.module[1].num_batches_tracked == net[1].num_batches_tracked == count
    assert any(not torch.equal(ours[k], v) for k, v in floats(net).items())
    assert all(k in ours for k in ("1.running_mean", "1.running_var"))


def test_version_3_copies_first_and_version_2_keeps_its_start(torch, net, train):
    from lcnet.train.ema import Ema

    start = copy.deepcopy(net)
    second, third = Ema(net, 0.75, 2), Ema(net, 0.75, 3)
    train()
    second.update(net)
    third.update(net)
    torch.testing.assert_close(third.module[0].weight, net[0].weight.detach(), rtol=0, atol=0)
    mixed = 0.75 * start[0].weight + 0.25 * net[0].weight
    torch.testing.assert_close(second.module[0].weight, mixed.detach())


def test_the_warm_up_of_the_decay(torch, net):
    from lcnet.train.ema import Ema

    ema, found = Ema(net, 0.9995, 3, warmup=True), {}
    for ema.updates in (0, 1, 9, 99, 999, 99_999):
        found[ema.updates] = ema.next_decay()
    assert found == pytest.approx({0: 0, 1: 0.370, 9: 0.785, 99: 0.954, 999: 0.990, 99_999: 0.9995}, abs=5e-4)


def test_the_copy_is_in_eval_mode_without_gradients_and_leaves_the_model_alone(torch, net, train):
    from lcnet.train.ema import Ema

    ema = Ema(net.train(), 0.9)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    ema.update(net)
    assert net.training and not ema.module.training
    assert all(p.requires_grad for p in net.parameters()) and not any(p.requires_grad for p in ema.module.parameters())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_a_saved_state_continues_bit_for_bit(torch, net, train):
    from lcnet.train.ema import Ema

    straight = Ema(net, 0.999, 3, warmup=True)
    for _ in range(5):
        train()
        straight.update(net)
    file = io.BytesIO()
    torch.save(straight.state_dict(), file)
    file.seek(0)
    resumed = Ema(copy.deepcopy(net), 0.999, 3, warmup=True)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for ema in (straight, resumed):
        torch.manual_seed(3)
        ema.update(net)
    assert resumed.updates == 6
    assert all(torch.equal(v, resumed.module.state_dict()[k]) for k, v in straight.module.state_dict().items())


def test_a_wrapped_module_is_refused(torch, net):
    from lcnet.train.ema import Ema

    with pytest.raises(InputError, match="bare module"):
        Ema(net, 0.9).update(torch.nn.DataParallel(net))


def test_a_warm_up_needs_version_3(torch, net):
    from lcnet.train.ema import Ema

    with pytest.raises(InputError, match="ema_version 2"):
        Ema(net, 0.9, 2, warmup=True)
