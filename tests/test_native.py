"""The C++ tests, built and run: kernels and whole networks of every ISA against the scalar specification."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Folder of the test programs. With SIMDe at hand the AVX-512 kernels are tested on CPUs without it too."""
    tools = [shutil.which(tool) for tool in ("cmake", "ninja", "c++")]
    if not all(tools):
        pytest.skip("building the C++ tests needs cmake, ninja and a C++ compiler")
    folder = tmp_path_factory.mktemp("native")
    emulated = "ON" if Path("/usr/include/simde/x86/avx512.h").exists() else "OFF"
    options = ["-DLCNET_KERNEL_TESTS=ON", f"-DLCNET_EMULATE_AVX512={emulated}"]
    subprocess.run(["cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", *options], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", folder], check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.mark.parametrize("program", ["kernels_test", "engine_test"])
def test_every_isa_equals_the_specification(programs, program):
    done = subprocess.run([programs / program], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "avx2" in done.stdout or "scalar" in done.stdout
