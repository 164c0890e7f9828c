"""What importing costs, and what the installed package needs and holds."""

import json
import subprocess
import sys
from importlib.metadata import files, requires
from pathlib import Path

import pytest

HEAVY = ("torch", "timm", "torchvision", "huggingface_hub", "scipy", "pandas", "matplotlib", "onnx", "unittest", "asyncio")


def modules_after(code, **environment):
    """Names of the modules that a fresh interpreter has loaded after running `code`."""
    program = f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment or None)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_lcnet_loads_next_to_nothing():
    loaded = modules_after("import lcnet") - modules_after("import typing, importlib")
    assert {name for name in loaded if not name.startswith(("importlib", "typing"))} == {"lcnet"}


def test_loading_and_classifying_needs_no_heavy_module():
    code = "import lcnet, numpy\nm = lcnet.load('lcnet_050.cifar10')\nm.classify(numpy.zeros((50, 60, 3), numpy.uint8))"
    loaded = modules_after(code)
    assert not [name for name in HEAVY if name in loaded]
    # Pillow's plugins stay out until a file is opened.
    assert not [name for name in loaded if name.endswith("ImagePlugin")]


def test_opening_one_png_loads_few_plugins(tmp_path):
    from PIL import Image

    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    loaded = modules_after(f"import lcnet; lcnet.load('lcnet_050.cifar10').classify({str(tmp_path / 'a.png')!r})")
    plugins = {name for name in loaded if name.endswith("ImagePlugin")}
    assert plugins <= {f"PIL.{p}ImagePlugin" for p in ("Bmp", "Gif", "Jpeg", "Ppm", "Png", "Tiff", "Mpo", "WebP", "Dib")}


def test_base_dependencies_stay_small():
    base = {r.split(">")[0].strip() for r in requires("lcnet") if "extra ==" not in r}
    assert base == {"numpy", "Pillow", "safetensors", "huggingface_hub", "click"}


def test_package_is_typed_and_under_20_megabytes():
    shipped = files("lcnet")
    if not any(str(f).endswith("arch.py") for f in shipped):
        pytest.skip("an editable install does not list its files")
    assert sum(Path(f.locate()).stat().st_size for f in shipped) < 20e6
    names = {str(f) for f in shipped}
    assert {"lcnet/py.typed", "lcnet/_native.pyi", "lcnet/labels/imagenet1k.tsv"} <= names
    page = {name.removeprefix("lcnet/serve/page/") for name in names if name.startswith("lcnet/serve/page/")}
    assert {"page.js", "body.html", "http/index.html", "http/http.js", "http/docs.html"} <= page
    assert not [name for name in page if name.startswith("wasm/")]  # of the page that needs no server


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX paths")
def test_works_without_a_home_folder(tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path / "missing")}
    assert "lcnet.runtime" in modules_after("import lcnet; lcnet.load('lcnet_050.cifar10')", **environment)
