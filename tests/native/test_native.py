"""The C++ tests, built and run: kernels and whole networks of every ISA against the scalar specification."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from jpeg_seeds import write_seeds
from weights import pictures

import lcnet
from lcnet.runtime.kernels import isas

ROOT = Path(__file__).parents[2]


def built_libraries():
    """The folder in which a wheel's build has left libraries that are newer than every source, None if there is none."""
    sources = [ROOT / "CMakeLists.txt", *(p for p in (ROOT / "native").rglob("*.*"))]
    newest = max(path.stat().st_mtime for path in sources)
    # A wheel's build has the extension beside them; those of `make sanitize` have not, and are no use without its flags.
    folders = [path.parent for path in ROOT.glob("build/*/_native*.so")]
    found = (f for f in folders if (f / "libraries.txt").exists() and (f / "liblcnet_engine.a").stat().st_mtime > newest)
    return next(found, None)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Folder of the test programs. With SIMDe at hand the AVX-512 kernels are tested on CPUs without it too.

    The environment variable LCNET_EMULATE_AVX512 has them emulated on a CPU that has it.
    """
    tools = [shutil.which(tool) for tool in ("cmake", "ninja", "c++")]
    if not all(tools):
        pytest.skip("building the C++ tests needs cmake, ninja and a C++ compiler")
    folder = tmp_path_factory.mktemp("native")
    missing = "LCNET_EMULATE_AVX512" in os.environ or not dict(isas()).get("avx512vnni")
    emulated = missing and Path("/usr/include/simde/x86/avx512.h").exists()
    built = None if emulated else built_libraries()
    options = (
        [f"-DLCNET_BUILT={built}"]
        if built
        else ["-DLCNET_KERNEL_TESTS=ON", f"-DLCNET_EMULATE_AVX512={'ON' if emulated else 'OFF'}"]
    )
    source = ROOT / "tests" / "native" if built else ROOT
    subprocess.run(["cmake", "-S", source, "-B", folder, "-G", "Ninja", *options], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", folder], check=True, stdout=subprocess.DEVNULL)
    return folder


GOLDEN = ROOT / "tests" / "golden" / "networks.txt"


@pytest.mark.slow
@pytest.mark.parametrize("program", ["kernels_test", "int8_test", "engine_test", "int8_engine_test", "threads_test"])
def test_every_isa_equals_the_specification(programs, program):
    done = subprocess.run([programs / program], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "avx2" in done.stdout or "scalar" in done.stdout


@pytest.mark.slow
def test_every_isa_gives_the_golden_bits(programs, tmp_path):
    """Those of its family for float networks, the same for quantised ones; and a bit that differs is found."""
    done = subprocess.run([programs / "golden_test", GOLDEN], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "scalar: the golden bits, of the family 'plain'" in done.stdout
    text = GOLDEN.read_text()
    for family in ("plain", "int8"):
        digest = re.search(rf"^{family} (\w+)", text, re.MULTILINE)[1]
        (tmp_path / "other.txt").write_text(text.replace(digest, f"{int(digest, 16) ^ 1:08x}"))
        assert subprocess.run([programs / "golden_test", tmp_path / "other.txt"], capture_output=True).returncode == 1, family


@pytest.mark.parametrize("cpu", ["cortex-a53", "max"])
def test_arm_gives_the_golden_bits(cpu):
    """What `make arm` has built, emulated: on a CPU without dot products, and on one with them."""
    program, emulator = ROOT / "build" / "arm" / "golden_test", shutil.which("qemu-aarch64")
    if not emulator:
        pytest.skip("qemu-aarch64 (Debian: qemu-user) is not installed")
    newest = max(path.stat().st_mtime for path in (ROOT / "native").rglob("*.*"))
    if not program.exists() or program.stat().st_mtime < newest:
        pytest.skip("build/arm has no tests that are newer than the sources: `make arm` builds them")
    done = subprocess.run([emulator, "-cpu", cpu, program, GOLDEN], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "neon: the golden bits, of the family 'fma'" in done.stdout
    assert ("neon_dot: the golden bits" in done.stdout) == (cpu == "max")


def test_every_isa_decodes_jpeg_files_alike(programs, tmp_path):
    done = subprocess.run([programs / "jpeg_test", "--count", "100", *write_seeds(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"(\d+) of 1200 files", done.stdout)[1]) > 12  # some of the damaged ones too


def test_the_jpeg_decoder_asks_nothing_of_a_system():
    """So that it can be built for WebAssembly: no allocation, no exception, no thread, nothing of the library but memory.

    Headers of kernels aside, which have the same rule.
    """
    for path in (ROOT / "native" / "jpeg").iterdir():
        text = path.read_text()
        assert set(re.findall("#include <(.+)>", text)) <= {"stddef.h", "stdint.h", "string.h"}, path
        assert not re.search(r"\b(new|delete|throw|try|malloc|std::\w+)\b", re.sub("//.*", "", text)), path


# Who may include whom: each from itself and those after it.
ROOMS = ("bind", "dwgrad", "engine", "dispatch", "system", "wasm", "inference", "jpeg", "resize", "kernels", "fail")


def room(path):
    """The folder below native/, or for files at its root what they are about."""
    parts = path.relative_to(ROOT / "native").parts
    return (
        parts[0] if len(parts) > 1 else {"layers": "bind", "released": "bind", "unwinding": "system"}.get(path.stem, path.stem)
    )


def test_no_include_runs_back():
    for path in (ROOT / "native").rglob("*.*"):
        for name in re.findall(r'#include "(.+)"', path.read_text()):
            other = path.parent / name if (path.parent / name).exists() else ROOT / "native" / name
            assert ROOMS.index(room(path)) <= ROOMS.index(room(other.resolve())), f"{path} includes {name}"


def test_only_one_file_asks_which_system_this_is():
    """What only POSIX or only Windows has: headers, names, and the macros that tell them apart."""
    known = '_WIN32|__APPLE__|__linux__|pthread|<unistd|<sys/|<sched|<windows|getpid|pause\\(|yield"'
    for path in (ROOT / "native").rglob("*.*"):
        found = re.findall(known, re.sub("//.*", "", path.read_text()))
        assert path.name == "system.cpp" or not found, f"{path} has {found}"


INFERENCE = ("inference", "jpeg", "resize", "kernels")  # the folders of lcnet_inference


def test_the_code_of_one_image_throws_nothing_and_knows_no_thread():
    """So that it can be built where there are neither: with -fno-exceptions, for a browser."""
    for folder in INFERENCE:
        for path in (ROOT / "native" / folder).rglob("*.*"):
            code = re.sub("//.*", "", path.read_text())
            found = re.findall(r"\b(?:throw|try|catch|mutex|thread|getenv|exception)\b|<stdexcept>", code)
            assert not found, f"{path} has {found}"


def test_the_library_of_one_image_asks_for_nothing_of_a_process():
    """What the objects of the last build leave to others: no exception begins or ends there, and no system is called."""
    built, nm = built_libraries(), shutil.which("nm")
    if not built or not nm:
        pytest.skip("no libraries of a wheel's build that are newer than the sources, or no nm")
    told = subprocess.run([nm, "-u", built / "liblcnet_inference.a"], capture_output=True, text=True, check=True).stdout
    assert "_Zn" in told, "it allocates"
    assert not re.findall("pthread|__cxa_throw|__cxa_begin_catch|getenv|fork|getpid|sched_|std::thread", told)
    assert "_ZN5lcnet4failEPKc" in told, "the seam by which it fails"


def test_kernels_include_no_standard_library_of_cpp():
    """An inline function of it, compiled for an ISA, may become the copy that every CPU runs."""
    for path in (ROOT / "native" / "kernels").rglob("*.*"):
        found = set(re.findall(r"#include <(.+)>", path.read_text()))
        assert found <= {"arm_neon.h", "immintrin.h", "math.h", "stddef.h", "stdint.h", "string.h", "wasm_simd128.h"}, path


def test_the_isas_are_those_that_the_system_lists():
    """Linux lists what the processor has and it saves the registers of."""
    listed = re.search(r"^flags\s*:(.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    if not listed:
        pytest.skip("no processor of Intel's kind, or another system")
    wide = {"avx2", "fma", "avx512f", "avx512dq", "avx512bw", "avx512vl"}
    needs = {"avx2": {"avx2", "fma"}, "avx512": wide, "avx512vnni": wide | {"avx512_vnni"}}
    needs["avx512bf16"] = needs["avx512vnni"] | {"avx512_bf16"}
    found = {isa: needs.get(isa, set()) <= set(listed[1].split()) for isa, _ in isas()}
    assert dict(isas()) == found


OLD_CPU = """
import sys, numpy, lcnet
model = lcnet.load("lcnet_050.cifar10", threads=2)
assert model.isa == "scalar", model.isa
numpy.save(sys.argv[1], model.run(numpy.load(sys.argv[2])))
"""


@pytest.mark.slow
def test_an_old_cpu_meets_no_illegal_instruction(tmp_path):
    """An emulated Nehalem (2008: SSE4.2, no AVX) runs the installed extension: dispatch, packing, threads, scalar kernels."""
    emulator = shutil.which("qemu-x86_64")
    if not emulator:
        pytest.skip("qemu-x86_64 (Debian: qemu-user) is not installed")
    np.save(tmp_path / "x.npy", pictures(2, 64, 64))
    command = [emulator, "-cpu", "Nehalem", sys.executable, "-c", OLD_CPU, tmp_path / "y.npy", tmp_path / "x.npy"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = lcnet.load("lcnet_050.cifar10", isa="scalar").run(pictures(2, 64, 64))
    assert np.array_equal(np.load(tmp_path / "y.npy"), expected)
