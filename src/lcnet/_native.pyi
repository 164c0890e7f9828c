from collections.abc import Sequence
from typing import Annotated, overload

import numpy
from numpy.typing import NDArray

# Generated from the compiled module by `make stub`.

class Layers:
    def __init__(self) -> None: ...
    def feature_maps(self, after_blocks: Sequence[int]) -> None: ...
    def pooled(self, after_blocks: Sequence[int]) -> None: ...
    def activation(self, name: str) -> None: ...
    def gate(self, name: str) -> None: ...
    def stem(
        self,
        w: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None, None), order="C", device="cpu", writable=False)],
        b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        strides: tuple[int, int] = (2, 2),
    ) -> None: ...
    def block(
        self,
        strides: tuple[int, int],
        dw_w: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None, None), order="C", device="cpu", writable=False)],
        dw_b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        pw_w: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)],
        pw_b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        shortcut: bool = False,
    ) -> None: ...
    def pointwise(
        self,
        w: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)],
        b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    ) -> None: ...
    def squeeze_excite(
        self,
        reduce_w: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)],
        reduce_b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        expand_w: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)],
        expand_b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    ) -> None: ...
    def head(
        self,
        w: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)],
        b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        activate: bool = True,
    ) -> None: ...
    def classifier(
        self,
        w: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)],
        b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    ) -> None: ...

class Int8Layers:
    def __init__(self) -> None: ...
    def feature_maps(self, after_blocks: Sequence[int]) -> None: ...
    def pooled(self, after_blocks: Sequence[int]) -> None: ...
    def activation(self, name: str) -> None: ...
    def gate(self, name: str) -> None: ...
    def stem(
        self,
        w: Annotated[NDArray[numpy.int8], dict(order="C", device="cpu", writable=False)],
        scale: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        in_scale: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        in_zero: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
        mean_255: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        strides: tuple[int, int] = (2, 2),
    ) -> None: ...
    def block(
        self,
        strides: tuple[int, int],
        dw_w: Annotated[NDArray[numpy.int8], dict(order="C", device="cpu", writable=False)],
        dw_scale: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        dw_b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        dw_in_scale: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        dw_in_zero: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
        pw_w: Annotated[NDArray[numpy.int8], dict(order="C", device="cpu", writable=False)],
        pw_scale: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        pw_b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        pw_in_scale: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        pw_in_zero: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
        shortcut: bool = False,
    ) -> None: ...
    def pointwise(
        self,
        w: Annotated[NDArray[numpy.int8], dict(order="C", device="cpu", writable=False)],
        scale: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        in_scale: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        in_zero: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
    ) -> None: ...
    def float_block(
        self,
        strides: tuple[int, int],
        dw_w: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None, None), order="C", device="cpu", writable=False)],
        dw_b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        pw_w: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)],
        pw_b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        shortcut: bool = False,
    ) -> None: ...
    def float_pointwise(
        self,
        w: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)],
        b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    ) -> None: ...
    def squeeze_excite(
        self,
        reduce_w: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)],
        reduce_b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        expand_w: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)],
        expand_b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    ) -> None: ...
    def head(
        self,
        w: Annotated[NDArray[numpy.int8], dict(order="C", device="cpu", writable=False)],
        scale: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        in_scale: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        in_zero: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
        activate: bool = True,
    ) -> None: ...
    def classifier(
        self,
        w: Annotated[NDArray[numpy.int8], dict(order="C", device="cpu", writable=False)],
        scale: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        in_scale: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        in_zero: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
    ) -> None: ...
    def float_head(
        self,
        w: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)],
        b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        activate: bool = True,
    ) -> None: ...
    def float_classifier(
        self,
        w: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)],
        b: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    ) -> None: ...

class Engine:
    @overload
    def __init__(self, layers: Layers, threads: int, isa: str, bf16: bool) -> None: ...
    @overload
    def __init__(self, layers: Int8Layers, threads: int, isa: str, bf16: bool) -> None: ...
    @property
    def isa(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def cached_arenas(self) -> int: ...
    def run(
        self,
        x: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None, None), order="C", device="cpu", writable=False)],
        logits: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")] | None,
        embeddings: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")] | None,
        maps: Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None, None, None, None), order="C", device="cpu")] | None],
    ) -> None: ...
    def run_head(
        self,
        features: Annotated[
            NDArray[numpy.float32], dict(shape=(None, None, None, None), order="C", device="cpu", writable=False)
        ],
        logits: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")] | None,
        embeddings: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")] | None,
    ) -> None: ...

class Pool:
    def __init__(self, threads: int) -> None: ...

def dwgrad(
    pool: Pool,
    x: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None, None), order="C", device="cpu", writable=False)],
    dy: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None, None), order="C", device="cpu", writable=False)],
    strides: tuple[int, int],
    dw: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu")],
    isa: str,
) -> None: ...
def resize(
    image: Annotated[NDArray[numpy.uint8], dict(shape=(None, None, None), order="C", device="cpu", writable=False)],
    scaled: tuple[int, int],
    box: tuple[int, int, int, int],
    filter: str,
    out: Annotated[NDArray[numpy.uint8], dict(shape=(None, None, None), order="C", device="cpu")],
    isa: str,
) -> None: ...
def prepare(
    image: Annotated[NDArray[numpy.uint8], dict(shape=(None, None, None), order="C", device="cpu", writable=False)],
    scaled: tuple[int, int],
    box: tuple[int, int, int, int],
    filter: str,
    table: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)],
    out: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), device="cpu")],
    isa: str,
) -> None: ...
def scaled_size(size: tuple[int, int], input: tuple[int, int], crop_pct: float, mode: str, library: str) -> tuple[int, int]: ...
def kept(
    scaled: tuple[int, int], input: tuple[int, int], library: str
) -> tuple[tuple[int, int, int], tuple[int, int, int]]: ...
def fill(mean: float, mode: str) -> int: ...
def batch_norm(
    gamma: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    beta: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    mean: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    var: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    eps: float,
    scale: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C", device="cpu")],
    shift: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C", device="cpu")],
) -> None: ...
def fold(
    w: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
    gamma: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    beta: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    mean: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    var: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    eps: float,
    folded: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")],
    bias: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu")],
) -> None: ...
def decode_jpeg(
    data: bytes, out: Annotated[NDArray[numpy.uint8], dict(shape=(None, None, None), order="C", device="cpu")], isa: str
) -> bool: ...
def arrow_pixels(
    array: object, height: int, width: int
) -> Annotated[NDArray[numpy.uint8], dict(shape=(None, None, None), writable=False)]: ...
def fma_peak(seconds: float) -> float: ...

compiler: str

def selected_isa() -> str: ...
def isas() -> list[tuple[str, bool]]: ...
