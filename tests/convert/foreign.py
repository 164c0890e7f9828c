"""Foreign checkpoints made by hand, without torch or paddle: pickle opcodes, torch's archive, PaddleClas's names."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from lcnet.arch import Arch
from lcnet.convert import load_state_dict
from lcnet.errors import ModelFileError

FOUR = np.arange(4, dtype=np.float32)

# PaddleClas's block -> timm's block, written out: `convert` has its own rule.
PADDLE_BLOCKS = {
    "blocks2.0": "blocks.0.0",
    "blocks3.0": "blocks.1.0",
    "blocks3.1": "blocks.1.1",
    "blocks4.0": "blocks.2.0",
    "blocks4.1": "blocks.2.1",
    "blocks5.0": "blocks.3.0",
    "blocks5.1": "blocks.3.1",
    "blocks5.2": "blocks.4.0",
    "blocks5.3": "blocks.4.1",
    "blocks5.4": "blocks.4.2",
    "blocks5.5": "blocks.4.3",
    "blocks6.0": "blocks.5.0",
    "blocks6.1": "blocks.5.1",
}
_BLOCK_PARTS = {"dw_conv.bn": "bn1", "pw_conv.bn": "bn2"}
_BLOCK_TENSORS = {"dw_conv.conv.weight": "conv_dw.weight", "pw_conv.conv.weight": "conv_pw.weight"}
_SE = {"se.conv1": "se.conv_reduce", "se.conv2": "se.conv_expand"}
_BN = {"weight": "weight", "bias": "bias", "_mean": "running_mean", "_variance": "running_var"}


def paddle_names() -> dict[str, str]:
    """PaddleClas's name -> timm's name of the 146 tensors."""
    out = {"conv1.conv.weight": "conv_stem.weight", "last_conv.weight": "conv_head.weight"}
    out |= {"fc.weight": "classifier.weight", "fc.bias": "classifier.bias"}
    out |= {f"conv1.bn.{p}": f"bn1.{t}" for p, t in _BN.items()}
    for paddle, timm in PADDLE_BLOCKS.items():
        out |= {f"{paddle}.{p}": f"{timm}.{t}" for p, t in _BLOCK_TENSORS.items()}
        out |= {f"{paddle}.{p}.{x}": f"{timm}.{t}.{y}" for p, t in _BLOCK_PARTS.items() for x, y in _BN.items()}
        if paddle.startswith("blocks6"):
            out |= {f"{paddle}.{p}.{x}": f"{timm}.{t}.{x}" for p, t in _SE.items() for x in ("weight", "bias")}
    return out


def paddle_arrays(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """timm-named weights as PaddleClas would store them, without its dropout rule: the linear layer is transposed."""
    return {p: weights[t].T if p == "fc.weight" else weights[t] for p, t in paddle_names().items()}


def pdparams(arrays: dict[str, np.ndarray], protocol: int = 4) -> bytes:
    """The bytes that `paddle.save(state_dict)` writes."""
    table = {name: f"tensor_{i}.w_0" for i, name in enumerate(arrays)}
    return pickle.dumps({**arrays, "StructuredToParameterName@@": table}, protocol)


def literal(value: object) -> bytes:
    """Opcodes that push a plain value."""
    return pickle.dumps(value, 2)[2:-1]


def name(module: str, attribute: str) -> bytes:
    """Opcodes that push a class or function by name."""
    return f"c{module}\n{attribute}\n".encode()


def call(module: str, attribute: str, *args: bytes) -> bytes:
    """Opcodes that call it; the arguments are opcodes."""
    return name(module, attribute) + b"(" + b"".join(args) + b"tR"


def dictionary(**entries: bytes) -> bytes:
    """Opcodes that push a dictionary; the values are opcodes."""
    return b"}(" + b"".join(literal(k) + v for k, v in entries.items()) + b"u"


def program(*opcodes: bytes) -> bytes:
    """A whole pickle of protocol 2."""
    return b"\x80\x02" + b"".join(opcodes) + b"."


def storage(key: str = "0", kind: str = "FloatStorage", count: int = 4) -> bytes:
    """Opcodes that push a torch storage."""
    return b"(" + literal("storage") + name("torch", kind) + literal(key) + literal("cpu") + literal(count) + b"tQ"


def tensor(shape=(4,), stride=(1,), offset=0, flags: bytes = b"", **where) -> bytes:
    """Opcodes that push a torch tensor."""
    view = literal(offset) + literal(shape) + literal(stride) + literal(False) + call("collections", "OrderedDict")
    return call("torch._utils", "_rebuild_tensor_v2", storage(**where), view, flags)


def torch_zip(pickled: bytes, storages: dict[str, bytes], compression=zipfile.ZIP_STORED, **extra: bytes) -> bytes:
    """The archive that `torch.save` writes around a pickle and its storages."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for entry, data in {"data.pkl": pickled, **extra, **{f"data/{k}": v for k, v in storages.items()}}.items():
            archive.writestr(f"archive/{entry}", data)
    return out.getvalue()


def assert_equal(found, expected):
    """The same names; values equal to torch tensors cast to float32, or to arrays."""
    assert sorted(found) == sorted(expected)
    for key, value in expected.items():
        array = np.asarray(value.detach().float() if hasattr(value, "detach") else value)
        assert found[key].dtype == (np.int64 if key.endswith("num_batches_tracked") else np.float32), key
        np.testing.assert_array_equal(found[key], array, err_msg=key)
        assert found[key].shape == array.shape, key


def refused(tmp_path, data, match):
    """The file is refused, with a message that names it and is safe to print."""
    (tmp_path / "bad.pth").write_bytes(data)
    with pytest.raises(ModelFileError, match=match) as caught:
        load_state_dict(tmp_path / "bad.pth")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'bad.pth'}: ")
    assert message.isprintable()
    assert len(message) < 600


def in_containers(pickled):
    """The same pickle as a bare file and as torch's archive."""
    return [pickled, torch_zip(pickled, {"0": FOUR.tobytes()})]


def forward(weights: dict[str, np.ndarray], arch: Arch, x: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    """Logits, or features, of an NCHW batch by the paper's table in plain numpy: slow, and independent of every engine."""
    act = _hswish if arch.activation == "hard_swish" else lambda x: np.maximum(x, 0)

    def layer(conv, norm, x, strides=(1, 1)):
        return act(_bn(weights, norm, _conv(x, weights[f"{conv}.weight"], strides), eps))

    x = layer("conv_stem", "bn1", x, arch.stem_stride)
    for at, block in arch.blocks():
        x = layer(f"{at}.conv_dw", f"{at}.bn1", x, block.strides)
        if block.se_channels:
            x = x * _gate(weights, f"{at}.se", x.mean((2, 3), keepdims=True), arch.hard_sigmoid_slope)
        x = layer(f"{at}.conv_pw", f"{at}.bn2", x)
    x = x.mean((2, 3), keepdims=True)
    if arch.head_channels:
        x = act(_conv(x, weights["conv_head.weight"]) + weights["conv_head.bias"][:, None, None])
    x = x[:, :, 0, 0]
    return x @ weights["classifier.weight"].T + weights["classifier.bias"] if arch.num_classes else x


def _hswish(x):
    return x * np.clip(x + 3, 0, 6) / 6


def _bn(weights, key, x, eps):
    mean, var, gamma, beta = (weights[f"{key}.{n}"][:, None, None] for n in ("running_mean", "running_var", "weight", "bias"))
    return (x - mean) / np.sqrt(var + eps) * gamma + beta


def _gate(weights, key, x, slope):
    mid = _conv(x, weights[f"{key}.conv_reduce.weight"]) + weights[f"{key}.conv_reduce.bias"][:, None, None]
    out = _conv(np.maximum(mid, 0), weights[f"{key}.conv_expand.weight"])
    return np.clip(slope * (out + weights[f"{key}.conv_expand.bias"][:, None, None]) + 0.5, 0, 1)


def _conv(x, weight, strides=(1, 1)):
    pad = weight.shape[-1] // 2
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    view = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], (2, 3))[:, :, :: strides[0], :: strides[1]]
    if weight.shape[1] == 1 and len(weight) == x.shape[1] > 1:
        return np.einsum("nchwij,cij->nchw", view, weight[:, 0], optimize=True)
    return np.einsum("nchwij,ocij->nohw", view, weight, optimize=True)
