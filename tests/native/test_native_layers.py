"""Networks that are not LCNet, handed to the native core layer by layer, and what numpy makes of them."""

import numpy as np
import pytest

from lcnet import _native

STRIDES = ((1, 1), (2, 1), (1, 2), (2, 2), (1, 1))
CHANNELS = (8, 16, 24, 24, 40, 40)
KERNELS = (3, 3, 5, 3, 5)
GATED = 3  # the block with squeeze-and-excite
FEATURE_MAPS = (2, 4, 5)
ISAS = [name for name, here in _native.isas() if here]


def hswish(x):
    return x * np.clip(x + 3, 0, 6) / 6


def windows(x, kernel, stride):
    """[N,C,h,w,k,k] of x [N,C,H,W] with k // 2 zeros around."""
    pad = kernel // 2
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    every = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))
    return every[:, :, :: stride[0], :: stride[1]]


class Network:
    """Random layers, and what they make of a picture."""

    def __init__(self, head=20, classes=6, seed=4):
        self.rng = np.random.default_rng(seed)
        self.stem = self.layer(CHANNELS[0], 3, 3, 3)
        self.blocks = []
        for i, (stride, kernel) in enumerate(zip(STRIDES, KERNELS, strict=True)):
            cin, cout = CHANNELS[i : i + 2]
            gates = (self.layer(cin // 4, cin), self.layer(cin, cin // 4)) if i == GATED else None
            self.blocks.append((stride, self.layer(cin, 1, kernel, kernel), gates, self.layer(cout, cin)))
        self.head = self.layer(head, CHANNELS[-1]) if head else None
        self.classifier = self.layer(classes, head) if classes else None

    def layer(self, out, *shape):
        weight = self.rng.normal(0, (2.5 / np.prod(shape)) ** 0.5, (out, *shape)).astype(np.float32)
        return weight, self.rng.normal(0, 0.2, out).astype(np.float32)

    def hand_over(self, layers, block="block", suffix=""):
        """Everything but the stem."""
        layers.feature_maps(FEATURE_MAPS)
        for stride, depthwise, gates, pointwise in self.blocks:
            getattr(layers, block)(stride, *depthwise, *pointwise)
            if gates:
                layers.squeeze_excite(*gates[0], *gates[1])
        if self.head:
            getattr(layers, f"{suffix}head")(*self.head)
        if self.classifier:
            getattr(layers, f"{suffix}classifier")(*self.classifier)
        return layers

    def layers(self):
        layers = _native.Layers()
        layers.stem(*self.stem)
        return self.hand_over(layers)

    def run(self, x):
        """Feature maps, embeddings and logits."""
        w, b = self.stem
        x = hswish(np.einsum("nchwij,ocij->nohw", windows(x, 3, (2, 2)), w) + b[:, None, None])
        maps = []
        for number, (stride, (w, b), gates, (pw, pb)) in enumerate(self.blocks, 1):
            x = hswish(np.einsum("nchwij,cij->nchw", windows(x, w.shape[-1], stride), w[:, 0]) + b[:, None, None])
            if gates:
                (rw, rb), (ew, eb) = gates
                squeezed = np.maximum(x.mean((2, 3)) @ rw.T + rb, 0)
                x = x * (np.clip(squeezed @ ew.T + eb + 3, 0, 6) / 6)[..., None, None]
            x = hswish(np.einsum("nchw,oc->nohw", x, pw) + pb[:, None, None])
            if number in FEATURE_MAPS:
                maps.append(x)
        embeddings = hswish(x.mean((2, 3)) @ self.head[0].T + self.head[1]) if self.head else x.mean((2, 3))
        logits = embeddings @ self.classifier[0].T + self.classifier[1] if self.classifier else None
        return maps, embeddings, logits


def outputs(engine, x, expected):
    """What the engine makes of x, in arrays of the expected shapes."""
    maps, embeddings, logits = (
        [np.empty(m.shape, np.float32) for m in expected[0]],
        *(None if e is None else np.empty(e.shape, np.float32) for e in expected[1:]),
    )
    engine.run(x, logits, embeddings, maps)
    return maps, embeddings, logits


def assert_close(found, expected):
    for a, b in zip([*found[0], *found[1:]], [*expected[0], *expected[1:]], strict=True):
        if b is not None:
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.ptp(b))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("threads", (1, 2))
@pytest.mark.parametrize("size", ((48, 160), (33, 41), (70, 9)))
def test_strides_per_axis(isa, threads, size):
    network = Network()
    x = np.random.default_rng(1).normal(size=(2, 3, *size)).astype(np.float32)
    engine = _native.Engine(network.layers(), threads, isa, False)
    for images in (1, 2):
        expected = network.run(x[:images])
        assert_close(outputs(engine, x[:images], expected), expected)


@pytest.mark.parametrize(("head", "classes"), ((12, 0), (0, 0)))
def test_a_network_may_end_early(head, classes):
    network = Network(head, classes)
    x = np.random.default_rng(2).normal(size=(1, 3, 40, 50)).astype(np.float32)
    engine = _native.Engine(network.layers(), 2, "", False)
    expected = network.run(x)
    assert_close(outputs(engine, x, expected), expected)
    with pytest.raises(ValueError, match="logits do not fit"):
        engine.run(x, np.empty((1, 0), np.float32), None, [])
    with pytest.raises(ValueError, match="embeddings do not fit"):
        engine.run(x, None, np.empty((1, 0), np.float32), [])


def test_what_is_pooled_is_read_in_its_order():
    network = Network(0, 0)
    x = np.random.default_rng(2).normal(size=(3, 3, 40, 50)).astype(np.float32)
    layers = network.layers()
    layers.pooled([2, 5])
    maps, _, _ = network.run(x)
    found = np.empty((3, 24 + 40), np.float32)
    _native.Engine(layers, 2, "", False).run(x, None, found, [])
    expected = np.concatenate([maps[0].mean((2, 3)), maps[2].mean((2, 3))], 1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="the network pools other maps too"):
        _native.Engine(layers, 1, "", False).run_head(np.zeros((1, 40, 2, 2), np.float32), None, found[:1])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("threads", (1, 2))
def test_float_blocks_of_a_quantized_network(isa, threads):
    """A stem whose codes are its input: what follows in float gives the numbers of the float network."""
    network = Network()
    rng = np.random.default_rng(3)
    whole = rng.integers(-127, 128, network.stem[0].shape).astype(np.int8)
    scale = np.full(CHANNELS[0], 2e-5, np.float32)
    network.stem = (whole * scale[:, None, None, None], network.stem[1])
    layers = _native.Int8Layers()
    ones = np.ones(3, np.float32)
    layers.stem(whole, scale, network.stem[1], ones, np.zeros(3, np.uint8), 0 * ones)
    network.hand_over(layers, "float_block", "float_")
    x = rng.integers(0, 256, (2, 3, 33, 60)).astype(np.float32)
    engine = _native.Engine(layers, threads, isa, False)
    expected = network.run(x)
    assert_close(outputs(engine, x, expected), expected)


def test_what_does_not_fit_is_refused():
    network = Network()
    for wrong in ((0, 2), (3, 2), (2, 2), (6,)):
        layers = network.layers()
        layers.feature_maps(wrong)
        with pytest.raises(ValueError, match="feature maps"):
            _native.Engine(layers, 1, "", False)
    for wrong in ((0, 5), (5, 3), (6,)):
        layers = network.layers()
        layers.pooled(wrong)
        with pytest.raises(ValueError, match="pooled maps"):
            _native.Engine(layers, 1, "", False)
    with pytest.raises(ValueError, match="does not fit what is pooled"):
        layers = _native.Layers()
        layers.pooled([1, 5])
        layers.stem(*network.stem)
        network.hand_over(layers)
    with pytest.raises(ValueError, match="the stem's strides are 1 or 2"):
        _native.Layers().stem(*network.stem, (2, 3))
    with pytest.raises(ValueError, match="no such activation"):
        _native.Layers().activation("gelu")
    network.blocks[1] = ((3, 1), *network.blocks[1][1:])
    with pytest.raises(ValueError, match="no depthwise kernel"):
        _native.Engine(network.layers(), 1, "", False)
    with pytest.raises(ValueError, match="a stem and a block"):
        _native.Engine(_native.Layers(), 1, "", False)


def test_blocks_that_do_not_fit_are_refused():
    rng = np.random.default_rng(0)

    def pair(out, *shape):
        return rng.normal(size=(out, *shape)).astype(np.float32), np.zeros(out, np.float32)

    def layers(channels=8, strides=(1, 1), shortcut=True):
        made = _native.Layers()
        made.stem(*pair(8, 3, 3, 3))
        made.block(strides, *pair(8, 1, 3, 3), *pair(channels, 8), shortcut=shortcut)
        return made

    for wrong in ({"channels": 16}, {"strides": (1, 2)}):
        with pytest.raises(ValueError, match="a shortcut needs an output like the block's input"):
            _native.Engine(layers(**wrong), 1, "", False)
    split = layers(24)
    with pytest.raises(ValueError, match="second pointwise layer does not fit"):
        split.pointwise(*pair(8, 16))
    split.pointwise(*pair(8, 24))
    _native.Engine(split, 1, "", False)  # its output is like its input again
    with pytest.raises(ValueError, match="second pointwise layer does not fit"):
        split.pointwise(*pair(8, 8))
    with pytest.raises(ValueError, match="second pointwise layer belongs to a block"):
        _native.Layers().pointwise(*pair(8, 8))
    with pytest.raises(ValueError, match="no such gate"):
        _native.Layers().gate("tanh")
    float_block = _native.Int8Layers()
    float_block.stem(
        np.ones((8, 3, 3, 3), np.int8),
        *(np.ones(n, np.float32) for n in (8, 8, 3)),
        np.zeros(3, np.uint8),
        np.ones(3, np.float32),
    )
    float_block.float_block((1, 1), *pair(8, 1, 3, 3), *pair(8, 8))
    code = np.ones(8, np.float32), np.zeros(8, np.uint8)
    with pytest.raises(ValueError, match="in float as a whole"):
        float_block.pointwise(np.ones((8, 8), np.int8), np.ones(8, np.float32), np.zeros(8, np.float32), *code)
