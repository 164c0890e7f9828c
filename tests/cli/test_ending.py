"""How a whole process ends: output that nobody takes, Ctrl-C and SIGTERM at any moment. One line, and the code in README."""

import os
import re
import shlex
import signal
import subprocess
import sys

import pytest
from pictures import encoded, picture

pytestmark = pytest.mark.slow

LCNET = [sys.executable, "-m", "lcnet"]
MODEL = ["-m", "lcnet_050.cifar10", "--threads", "1"]
ROW = re.compile(r"import time:.*")


@pytest.fixture
def pictures(tmp_path):
    for i in range(40):
        (tmp_path / f"{i:02}.png").write_bytes(encoded(picture(seed=i), "PNG"))
    return tmp_path


def shell(redirection, *arguments):
    """Run a command with its streams as a shell makes them."""
    command = f"exec {shlex.join([*LCNET, *map(str, arguments)])} {redirection}"
    return subprocess.run(["/bin/bash", "-c", command], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("arguments", [["models", "--format", "csv"], ["download", "lcnet_050.cifar10"], ["info", "--help"]])
@pytest.mark.parametrize(("redirection", "why"), [(">/dev/full", "No space left"), (">&-", "Bad file descriptor")])
def test_output_that_cannot_be_written_is_one_line(arguments, redirection, why):
    done = shell(redirection, *arguments)
    assert (done.returncode, done.stdout) == (4, "")
    assert re.fullmatch(rf"Error: standard output cannot be written: {why}.*\n", done.stderr), done.stderr


@pytest.mark.parametrize("style", ["table", "json"])
def test_output_that_cannot_be_written_ends_the_work(pictures, style):
    done = shell(">/dev/full", "classify", pictures, *MODEL, "--format", style)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)


def test_what_was_written_to_a_file_is_whole_though_nobody_can_be_told(pictures):
    done = shell(">&- 2>&-", "classify", pictures, *MODEL, "--top", 1, "-o", pictures / "o.jsonl")
    text = (pictures / "o.jsonl").read_text()
    assert done.returncode == 4 and text.count("\n") == 40 and "lcnet" not in text
    assert not (pictures / "o.jsonl.resume").exists()


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2> >(exec true)"])
def test_messages_that_nobody_takes_stop_nothing(pictures, redirection):
    (pictures / "00.png").write_bytes(b"broken")
    done = shell(redirection, "classify", pictures, *MODEL)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (1, "", 39)


def test_a_reader_that_goes_is_as_for_any_program(pictures):
    many = shlex.join([*LCNET, "classify", *[str(pictures)] * 50, *MODEL])
    done = subprocess.run(
        ["/bin/bash", "-c", f"{many} | head -1; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (141, "", 1)


@pytest.mark.parametrize("home", ["/proc/none", None])
def test_without_a_home_and_a_network_what_needs_them_says_so_in_one_line(pictures, home):
    """In /proc nobody can write, whoever it is."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGINGFACE_", "XDG_")) and k != "HOME"}
    kept |= {"HF_ENDPOINT": "http://127.0.0.1:9", "NO_PROXY": "*"} | ({"HOME": home} if home else {"HF_HOME": "/proc/none"})

    def run(*arguments):
        return subprocess.run([*LCNET, *map(str, arguments)], capture_output=True, text=True, timeout=60, env=kept)

    done = run("download", "lcnet_050")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1) and done.stderr.startswith("Error: cannot get")
    assert "\\n" not in done.stderr and "local-dir:DIR" in done.stderr
    done = run("classify", pictures / "00.png", *MODEL)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


def test_standard_input_that_is_closed_is_named():
    done = shell("<&-", "classify", "-", *MODEL)
    assert done.returncode == 1 and "standard input" in done.stderr and "Traceback" not in done.stderr


def stopped(moment, arguments, by):
    """Send a signal when a module has just been imported; return the exit code and what was said."""
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "lcnet", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        for line in process.stderr:
            if line.rsplit("|", 1)[-1].strip() == moment:
                process.send_signal(by)
                break
        said = process.stderr.read()
    return process.returncode, ROW.sub("", said).strip()


MOMENTS = ["click.exceptions", "lcnet.cli.streams", "lcnet.cli.bulk", "numpy._core.multiarray", "PIL.Image"]


@pytest.mark.parametrize(("moment", "by"), [*zip(MOMENTS, [signal.SIGINT, signal.SIGTERM] * 3, strict=False)])
def test_a_signal_while_the_command_begins(pictures, moment, by):
    code, said = stopped(moment, ["classify", *[pictures] * 50, *MODEL], by)
    # What Python takes for a Ctrl-C in generated code, as dataclasses have, it ends by that signal: the same for a shell.
    assert code in (128 + by, -signal.SIGINT) and re.fullmatch("lcnet: stopped(?: after .*)?", said), (code, said)


def test_a_signal_that_is_ignored_stays_so(pictures):
    """As `nohup` and `&` start a command."""
    program = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from lcnet import stop; stop.at_once()\n"
    program += "with stop.raised(): signal.raise_signal(signal.SIGINT)\nprint('on')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("on\n", "", 0)


UNRAISED = """
import os, signal, time
from lcnet import stop
class Odd:
    def __del__(self):
        signal.raise_signal(signal.{name})
stop.at_once()
with stop.raised():
    try:
        Odd()
        time.sleep(10)
    except KeyboardInterrupt as error:
        raise SystemExit(stop.code(error))
"""


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_where_python_raises_nothing_comes_again(by):
    done = subprocess.run([sys.executable, "-c", UNRAISED.format(name=by.name)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (128 + by, "")


def test_a_worker_says_nothing_of_signals():
    program = "import os, signal\nfrom lcnet import stop\nstop.at_once()\nwith stop.raised():\n    child = os.fork()\n"
    program += "    if not child: os._exit(signal.raise_signal(signal.SIGTERM) or 1)\n    print(os.waitpid(child, 0)[1])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == (f"{signal.SIGTERM:d}\n", "")


def test_as_a_library_lcnet_touches_no_signal():
    program = "import signal\nbefore = [signal.getsignal(n) for n in (2, 15)]\nimport lcnet, lcnet.cli\n"
    program += "from lcnet import stop\nwith stop.raised(): print(before == [signal.getsignal(n) for n in (2, 15)])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.stdout == "True\n"
