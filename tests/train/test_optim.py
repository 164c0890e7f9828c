"""The optimizers against timm's, step by step, and the rules that sort parameters into groups."""

import copy
import importlib
import io

import pytest

from lcnet.errors import InputError
from lcnet.train.recipe import Recipe

pytestmark = pytest.mark.slow

STEPS = 20


@pytest.fixture(scope="module", autouse=True)
def one_thread(torch):
    """Tensors this small take longer with threads, far longer where others need the processors."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def peer(timm):
    """timm's own package of the same purpose."""
    return importlib.import_module("timm.optim")


@pytest.fixture(scope="module")
def optim(torch):
    from lcnet.train import optim

    return optim


@pytest.fixture(scope="module")
def model(torch):
    from lcnet.nn.factory import create_model

    torch.manual_seed(0)
    return create_model("lcnet_050", num_classes=10)


def give_gradients(torch, model, seed, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        p.grad = torch.randn(p.shape, generator=generator) * scale


def run(torch, model, optimizer, steps=range(STEPS), scale=0.01, lr=None):
    for seed in steps:
        give_gradients(torch, model, seed, scale)
        for group in optimizer.param_groups:
            group["lr"] = lr(seed) if lr else group["lr"]
        optimizer.step()
    return dict(model.named_parameters())


def assert_same_walk(torch, start, ours, theirs, tolerance=2e-6):
    for name, p in start.named_parameters():
        torch.testing.assert_close(ours[name], theirs[name], rtol=tolerance, atol=tolerance)
        assert not torch.equal(ours[name], p), f"{name} never moved"


def falling(step):
    return 0.05 * 0.9 ** (step // 3)


@pytest.mark.parametrize("momentum", [0.9, 0.0])
@pytest.mark.parametrize("foreach", [False, True])
def test_rmsprop_equals_timm(torch, peer, optim, model, momentum, foreach):
    recipe = Recipe(optimizer="rmsprop_tf", lr=0.05, momentum=momentum, eps=1e-3, weight_decay=1e-2)
    a, b = copy.deepcopy(model), copy.deepcopy(model)
    groups = peer.param_groups_weight_decay(b, 1e-2)
    theirs = peer.RMSpropTF(groups, lr=0.05, alpha=0.9, eps=1e-3, momentum=momentum, foreach=foreach)
    ours = run(torch, a, optim.make_optimizer(a, recipe), lr=falling)
    assert_same_walk(torch, model, ours, run(torch, b, theirs, lr=falling))


@pytest.mark.parametrize("trust_clip", [False, True])
@pytest.mark.parametrize(("scale", "foreach"), [(1.0, False), (1e-4, False), (1.0, True)])
def test_lamb_equals_timm(torch, peer, optim, model, trust_clip, scale, foreach):
    """With gradients whose norm is far above 1, and far below."""
    recipe = Recipe(optimizer="lamb", lr=0.05, eps=1e-6, weight_decay=0.02, trust_clip=trust_clip)
    a, b = copy.deepcopy(model), copy.deepcopy(model)
    groups = peer.param_groups_weight_decay(b, 0.02)
    theirs = peer.Lamb(groups, lr=0.05, trust_clip=trust_clip, foreach=foreach)
    ours = run(torch, a, optim.make_optimizer(a, recipe), scale=scale, lr=falling)
    assert_same_walk(torch, model, ours, run(torch, b, theirs, scale=scale, lr=falling), tolerance=1e-5)


def test_lamb_clips_all_gradients_together_or_not_at_all(torch, optim):
    def walk(factor, **options):
        ps = [torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(2))]
        optimizer = optim.Lamb(ps, lr=0.1, eps=0.5, weight_decay=0.0, **options)
        for p in ps:
            p.grad = torch.full_like(p, factor)
        optimizer.step()
        assert all(torch.equal(p.grad, torch.full_like(p, factor)) for p in ps)
        return torch.cat([p.detach() for p in ps])

    torch.testing.assert_close(walk(10.0), walk(1000.0))
    assert not torch.allclose(walk(10.0, max_norm=0.0), walk(1000.0, max_norm=0.0))


@pytest.mark.parametrize("kind", [{"trust_clip": True}, {"trust_clip": False}])
def test_lamb_moves_what_is_zero(torch, optim, kind):
    """The trust ratio is 1 where the parameter's norm is 0, instead of stopping it forever."""
    p = torch.nn.Parameter(torch.zeros(4, 4))
    p.grad = torch.ones(4, 4)
    optim.Lamb([p], lr=0.1, weight_decay=0.1, **kind).step()
    assert torch.isfinite(p).all() and p.abs().min() > 0.09


RECIPES = [
    Recipe(optimizer="rmsprop_tf", lr=0.01, eps=1e-3),
    Recipe(optimizer="lamb", lr=0.01, trust_clip=True),
    Recipe(optimizer="sgd", lr=0.01, nesterov=True),
    Recipe(optimizer="adamw", lr=0.01),
]
by_optimizer = pytest.mark.parametrize("recipe", RECIPES, ids=[r.optimizer for r in RECIPES])


@by_optimizer
def test_a_saved_state_continues_bit_for_bit(torch, optim, model, recipe):
    whole, first = copy.deepcopy(model), copy.deepcopy(model)
    straight = run(torch, whole, optim.make_optimizer(whole, recipe))
    optimizer = optim.make_optimizer(first, recipe)
    run(torch, first, optimizer, range(7))
    file = io.BytesIO()
    torch.save({"model": first.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    second = copy.deepcopy(model)
    second.load_state_dict(saved["model"])
    optimizer = optim.make_optimizer(second, recipe)
    optimizer.load_state_dict(saved["optimizer"])
    resumed = run(torch, second, optimizer, range(7, STEPS))
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


@by_optimizer
def test_frozen_parameters_stay_and_move_when_thawed(torch, optim, model, recipe):
    net = copy.deepcopy(model)
    optimizer = optim.make_optimizer(net, recipe)
    run(torch, net, optimizer, range(2))
    net.conv_stem.requires_grad_(False)  # with momentum in its state, and a gradient still on it
    before = net.conv_stem.weight.clone()
    run(torch, net, optimizer, range(2, 4))
    assert torch.equal(net.conv_stem.weight, before) and net.conv_stem.weight.grad is None
    net.conv_stem.requires_grad_(True)
    run(torch, net, optimizer, range(4, 5))
    assert not torch.equal(net.conv_stem.weight, before)


@by_optimizer
def test_parameters_frozen_from_the_start_are_held_by_the_optimizer(torch, optim, model, recipe):
    net = copy.deepcopy(model)
    net.requires_grad_(False)
    net.classifier.requires_grad_(True)
    optimizer = optim.make_optimizer(net, recipe)
    held = {p for group in optimizer.param_groups for p in group["params"]}
    assert held == set(net.parameters())


@by_optimizer
def test_without_any_gradient_nothing_moves(torch, optim, model, recipe):
    net = copy.deepcopy(model)
    net.zero_grad(set_to_none=True)
    optim.make_optimizer(net, recipe).step()
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), model.parameters(), strict=True))


def test_lamb_counts_the_steps_of_each_parameter(torch, optim):
    """What is thawed late starts as all others did: a first step of one learning rate."""
    early, late = (torch.nn.Parameter(torch.ones(5)) for _ in range(2))
    optimizer = optim.Lamb([early, late], lr=0.01, weight_decay=0.0)
    for _ in range(50):
        early.grad = torch.full((5,), 0.1)
        optimizer.step()
    late.grad = torch.full((5,), 0.1)
    optimizer.step()
    torch.testing.assert_close(late, torch.full((5,), 0.99), rtol=0, atol=1e-5)


def test_a_closure_is_evaluated_with_gradients(torch, optim):
    for kind in (optim.RMSpropTF, optim.Lamb):
        p = torch.nn.Parameter(torch.ones(2))
        optimizer = kind([p], lr=0.1)

        def closure(p=p):
            loss = (p**2).sum()
            loss.backward()
            return loss.item()

        assert optimizer.step(closure) == 2.0 and (p < 1).all()


def test_the_decayed_values_are_counted_as_timm_counts_them(torch, optim):
    from lcnet.nn.factory import create_model

    model = create_model("lcnet_050")
    groups = optim.parameter_groups(model, Recipe(weight_decay=1e-5))
    sizes = {g["weight_decay"]: (len(g["params"]), sum(p.numel() for p in g["params"])) for g in groups}
    assert sizes == {1e-5: (33, 1_872_624), 0.0: (60, 8_232)}


def test_paddles_rule_decays_all_but_batch_norm(torch, optim, model):
    groups = optim.parameter_groups(model, Recipe(weight_decay=1e-5, decay_biases=True))
    (still,) = (g["params"] for g in groups if g["weight_decay"] == 0.0)
    names = {name for name, p in model.named_parameters() if any(p is q for q in still)}
    assert names == {name for name, _ in model.named_parameters() if ".bn" in f".{name}"}


def test_layer_decay_is_timms_with_a_layer_more(torch, timm, peer, optim, model):
    """timm counts head conv and classifier as one layer."""
    net = timm.create_model("lcnet_050", num_classes=10)
    names = {p: name for name, p in net.named_parameters()}
    groups = peer.param_groups_layer_decay(net, weight_decay=0.05, layer_decay=0.8)
    theirs = {names[p]: group["lr_scale"] for group in groups for p in group["params"]}
    ours = optim.layer_scales([name for name, _ in model.named_parameters()], 0.8)
    assert ours.pop("classifier.weight") == ours.pop("classifier.bias") == 1.0
    assert ours == pytest.approx({name: 0.8 * theirs[name] for name in ours})
    assert len(set(ours.values())) == 15 and ours["conv_stem.weight"] == pytest.approx(0.8**15)


def test_groups_carry_their_factor_and_start_at_their_rate(torch, optim, model):
    optimizer = optim.make_optimizer(model, Recipe(optimizer="adamw", lr=0.1, layer_decay=0.5, weight_decay=0.1))
    assert all(group["lr"] == 0.1 * group["lr_scale"] for group in optimizer.param_groups)
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.1}
    assert max(group["lr_scale"] for group in optimizer.param_groups) == 1.0


def test_nesterov_needs_momentum(torch, optim, model):
    with pytest.raises(InputError, match="nesterov"):
        optim.make_optimizer(model, Recipe(nesterov=True, momentum=0.0))
