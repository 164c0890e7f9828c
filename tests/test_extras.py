"""What is no dependency of the base install: which extra brings it, and that whoever lacks it is told."""

import ast
import re
import sys
import tomllib
from importlib import import_module

import pytest
from test_architecture import MODULES, ROOT, is_type_only

import lcnet
import lcnet.data
import lcnet.hub
import lcnet.serve
from lcnet.errors import LcnetError
from lcnet.sources import find, remote

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {name: {re.split(r"[^\w.-]", r)[0] for r in needs} for name, needs in PROJECT["optional-dependencies"].items()}
BASE = {"numpy", "PIL", "safetensors", "huggingface_hub", "click", "yaml"}  # yaml is what huggingface_hub depends on

SERVER = ("prometheus_client", "python_multipart", "starlette", "uvicorn")

# Every other module that some code of ours imports, and the extra that brings it. Engines that `bench` compares with are asked
# for one by one, by what `lcnet.bench.conditions` says; TensorBoard by an option that names it.
OPTIONAL = {
    "torch": "train",
    "onnx": "export",
    "matplotlib": "bench",
    "pyarrow": "parquet",
    "pillow_heif": "heif",
    "pypdfium2": "pdf",
    "turbojpeg": "jpeg",
    **dict.fromkeys(SERVER, "serve"),
    "sklearn": "sklearn",
    "fsspec": "remote",
    "ray": "ray",
    "joblib": "",  # which scikit-learn depends on
    "onnxruntime": "",
    "openvino": "",
    "ncnn": "",
}
PACKAGES = {"pillow_heif": "pillow-heif", "python_multipart": "python-multipart", "sklearn": "scikit-learn"}


def imported(file):
    """Top modules of others that a file of ours imports, at its top or later; by name too."""

    def walk(node):
        for child in ast.iter_child_nodes(node):
            if is_type_only(child):
                continue
            if isinstance(child, ast.Import):
                yield from (alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and not child.level:
                yield child.module
            elif isinstance(child, ast.Call) and ast.unparse(child.func).rpartition(".")[2] in ("import_module", "find_spec"):
                yield from (a.value for a in child.args[:1] if isinstance(a, ast.Constant))
            yield from walk(child)

    return {name.partition(".")[0] for name in walk(ast.parse(file.read_text(encoding="utf-8"))) if name[0] != "."}


def test_every_module_of_others_is_a_dependency_or_in_the_table():
    found = {name for file in MODULES.values() for name in imported(file)} - sys.stdlib_module_names - {"lcnet", "__future__"}
    assert found - BASE <= set(OPTIONAL), sorted(found - BASE - set(OPTIONAL))


def test_the_extras_of_the_table_bring_the_modules():
    for module, extra in OPTIONAL.items():
        assert not extra or PACKAGES.get(module, module) in EXTRAS[extra], f"{extra} does not bring {module}"


def chart(tmp_path):
    from lcnet.bench.plot import draw

    draw({"timings": []}, tmp_path / "a.png")


def report(tmp_path):
    from lcnet.quantize.report import draw

    draw({}, tmp_path / "a.png")


def parquet(tmp_path):
    from lcnet.results.whole import pyarrow

    pyarrow()


def pdf(tmp_path):
    from lcnet.upright import pdf

    pdf.pdfium()


def graph(tmp_path):
    from lcnet.export.onnx import export_onnx
    from lcnet.modelfile import read

    export_onnx(read(lcnet.hub.locate("lcnet_050.cifar10").path), tmp_path / "a.onnx")


def server(tmp_path):
    lcnet.serve.app("lcnet_050.cifar10")


def estimators(tmp_path):
    sys.modules.pop("lcnet.sklearn", None)
    import_module("lcnet.sklearn")


def store(tmp_path):
    remote._kind.cache_clear()
    list(find(["memory://bucket/"]))


def on_ray(tmp_path):
    from lcnet.cluster import run

    run([], "lcnet_050.cifar10", tmp_path / "answers")


def tensor(tmp_path):
    lcnet.data.create_transform(32)


# What needs a module, how it is asked for, and what it says without it.
FACES = [
    (chart, "matplotlib", r"lcnet\[bench\]"),
    (report, "matplotlib", r"lcnet\[bench\]"),
    (pdf, "pypdfium2", r"lcnet\[pdf\]"),
    (parquet, "pyarrow", r"lcnet\[parquet\]"),
    (graph, "onnx", r"lcnet\[export\]"),
    *((server, module, r"lcnet\[serve\]") for module in SERVER),
    (estimators, "sklearn", r"lcnet\[sklearn\]"),
    (store, "fsspec", r"lcnet\[remote\]"),
    (on_ray, "ray", r"lcnet\[ray\]"),
    (tensor, "torch", r"lcnet\[train\]"),
]


@pytest.mark.parametrize(("face", "module", "said"), FACES)
def test_who_lacks_an_extra_is_told_which(face, module, said, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(LcnetError, match=f"pip install '{said}'"):
        face(tmp_path)


def test_every_extra_with_a_module_is_walked():
    """pillow-heif is what the advice on .heic names; without turbojpeg pages are encoded again, as reports of runs say."""
    walked = {module for _, module, _ in FACES} | {"pillow_heif", "turbojpeg"}
    assert walked == {module for module, extra in OPTIONAL.items() if extra}
