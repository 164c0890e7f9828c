import copy

import numpy as np
import pytest

from lcnet import _native

SUPPORTED = [isa for isa, supported in _native.isas() if supported]


@pytest.mark.parametrize("isa", SUPPORTED)
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (2, 1), (1, 2)])
@pytest.mark.parametrize("shape", [(1, 1, 1, 4), (3, 2, 3, 8), (2, 7, 5, 24), (17, 4, 4, 40), (5, 6, 9, 64), (2, 3, 3, 5)])
def test_weight_gradient_is_torchs(torch, isa, kernel, strides, shape):
    rng = np.random.default_rng(0)
    images, height, width, channels = shape
    x = rng.standard_normal(shape, np.float32)
    dy = rng.standard_normal((images, -(-height // strides[0]), -(-width // strides[1]), channels), np.float32)
    dw = np.full((kernel, kernel, channels), np.nan, np.float32)
    _native.dwgrad(_native.Pool(2), x, dy, strides, dw, isa)
    nchw = [torch.tensor(a).permute(0, 3, 1, 2).double() for a in (x, dy)]
    weight = torch.zeros(channels, 1, kernel, kernel, dtype=torch.float64)

    def gradient(a, b):
        pad = [kernel // 2] * 2
        mask = [False, True, False]
        backward = torch.ops.aten.convolution_backward
        return backward(b, a, weight, None, strides, pad, [1, 1], False, [0, 0], channels, mask)[1]

    expected = gradient(*nchw)[:, 0].permute(1, 2, 0).numpy()
    # Sums of n products are wrong by at most n eps sum|a b|; each sum here has fewer than images * height * width terms.
    bound = images * height * width * np.finfo(np.float32).eps
    bound = bound * gradient(*(a.abs() for a in nchw))[:, 0].permute(1, 2, 0).numpy()
    assert (np.abs(dw - expected) <= bound + 1e-30).all()


def test_threads_change_no_bit(rng):
    x, dy = (rng.standard_normal((33, 6, 6, 32), np.float32) for _ in range(2))
    results = []
    for threads in (1, 2, 3):
        dw = np.empty((5, 5, 32), np.float32)
        _native.dwgrad(_native.Pool(threads), x, dy, (1, 1), dw, "")
        results.append(dw)
    assert all(np.array_equal(results[0], other) for other in results)


def test_shapes_that_do_not_fit_are_refused(rng):
    x = rng.standard_normal((2, 6, 6, 8), np.float32)
    pool = _native.Pool(1)
    for dy, strides, dw in [
        ((2, 6, 6, 8), (2, 2), (3, 3, 8)),
        ((2, 6, 6, 8), (2, 1), (3, 3, 8)),
        ((1, 6, 6, 8), (1, 1), (3, 3, 8)),
        ((2, 6, 6, 8), (1, 1), (7, 7, 8)),
        ((2, 6, 6, 8), (1, 1), (3, 3, 4)),
        ((2, 6, 6, 8), (3, 3), (3, 3, 8)),
        ((2, 2, 6, 8), (3, 1), (3, 3, 8)),
    ]:
        with pytest.raises(ValueError):
            _native.dwgrad(pool, x, np.zeros(dy, np.float32), strides, np.zeros(dw, np.float32), "")


def test_a_network_gets_the_same_gradients(torch):
    from lcnet import nn
    from lcnet.train.depthwise import DepthwiseConv2d, use_native_gradients

    torch.manual_seed(0)
    plain = nn.create_model("lcnet_050", num_classes=4).double()
    ours = copy.deepcopy(plain).float().to(memory_format=torch.channels_last)
    use_native_gradients(ours)
    assert sum(isinstance(m, DepthwiseConv2d) for m in ours.modules()) == 13
    assert list(ours.state_dict()) == list(plain.state_dict())
    x = torch.randn(6, 3, 64, 64)
    plain(x.double()).square().sum().backward()
    ours(x.to(memory_format=torch.channels_last)).square().sum().backward()
    for (name, a), b in zip(plain.named_parameters(), ours.parameters(), strict=True):
        assert (a.grad - b.grad).abs().max() <= 1e-3 * a.grad.abs().max(), name


def test_elsewhere_torch_does_it_all(torch):
    from lcnet.train.depthwise import DepthwiseConv2d

    torch.manual_seed(0)
    layer = DepthwiseConv2d(8, 8, 5, padding=2, groups=8, bias=False).double()
    x = torch.randn(2, 8, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))
    contiguous = layer.float()
    contiguous(torch.randn(2, 8, 6, 6)).sum().backward()
    assert contiguous.weight.grad.abs().sum() > 0
