"""Pipes, named and not, standard input and devices, as pictures: read once and whole, and never waited on for ever."""

import io
import os
import socket
import sys
import threading
import time
from contextlib import suppress

import numpy as np
import pytest
from pictures import encoded, picture

import lcnet
from lcnet.errors import ImageError
from lcnet.image.pixels import decode
from lcnet.sources import find, pipes

PNG = encoded(picture(), "PNG")


def write(target, data, pause=0.0, close=True):
    """Write in two parts, in a thread."""

    def work():
        with suppress(BrokenPipeError), open(target, "wb", buffering=0, closefd=close) as file:
            file.write(data[:40])
            time.sleep(pause)
            file.write(data[40:])

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def fifo(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def test_a_named_pipe_is_a_picture(fifo):
    thread = write(fifo, PNG, pause=0.3)
    np.testing.assert_array_equal(decode(fifo), picture())
    thread.join()
    assert list(find(str(fifo))) == [str(fifo)]


def test_what_a_shell_makes_of_a_process_is_a_picture():
    read, out = os.pipe()
    try:
        thread = write(out, PNG, pause=0.2)
        np.testing.assert_array_equal(decode(f"/dev/fd/{read}"), picture())
        thread.join()
    finally:
        os.close(read)


def test_a_model_takes_a_pipe(fifo):
    model = lcnet.load("lcnet_050.cifar10", threads=1)
    expected = model.probs(PNG)
    write(fifo, PNG)
    np.testing.assert_array_equal(model.probs(fifo), expected)
    write(fifo, PNG)
    (item,) = model.stream(fifo, "probs")
    assert item.source == fifo
    np.testing.assert_array_equal(item.value, expected[0])


def test_a_pipe_without_a_writer_is_refused_after_a_while(fifo, monkeypatch):
    monkeypatch.setattr(pipes, "WRITER", 0.2)
    start = time.monotonic()
    with pytest.raises(ImageError, match=r"fifo: nothing came through this pipe for 0\.2 seconds: start what writes"):
        decode(fifo)
    assert time.monotonic() - start < 5


def test_a_writer_that_falls_silent_is_left(fifo, monkeypatch):
    monkeypatch.setattr(pipes, "SILENCE", 0.2)
    write(fifo, PNG, pause=3)
    with pytest.raises(ImageError, match=r"for 0\.2 seconds"):
        decode(fifo)


def test_a_pipe_that_ends_early_or_never(fifo, monkeypatch):
    write(fifo, PNG[:60])
    with pytest.raises(ImageError, match="cut short"):
        decode(fifo)
    write(fifo, b"")
    monkeypatch.setattr(pipes, "WRITER", 0.5)
    with pytest.raises(ImageError, match=r"empty|nothing came"):
        decode(fifo)
    monkeypatch.setattr(pipes, "MOST", 100)
    write(fifo, PNG)
    with pytest.raises(ImageError, match="more than 100 bytes"):
        decode(fifo)


def test_devices_and_sockets_are_not_opened(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for path in ("/dev/zero", "/dev/null", tmp_path / "socket"):
            with pytest.raises(ImageError, match="device or socket"):
                decode(path)


def test_standard_input(monkeypatch):
    class Input:
        def __init__(self, buffer):
            self.buffer = buffer

    monkeypatch.setattr(sys, "stdin", Input(io.BytesIO(PNG)))
    assert pipes.standard_input() == PNG
    read, out = os.pipe()
    write(out, PNG, pause=0.1)
    with open(read, "rb") as file:
        monkeypatch.setattr(sys, "stdin", Input(file))
        assert pipes.standard_input() == PNG
    terminal, other = os.openpty()
    with open(other, "rb", buffering=0) as file:
        monkeypatch.setattr(sys, "stdin", Input(file))
        with pytest.raises(ImageError, match="standard input is a terminal"):
            pipes.standard_input()
    os.close(terminal)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ImageError, match="closed"):
        pipes.standard_input()
