"""Streams of pictures: order, bounds, errors, and every way in which a stream can be left."""

import subprocess
import sys
import threading
import time
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from pictures import encoded, picture
from weights import random_weights

import lcnet
from lcnet.arch import Arch
from lcnet.config import ModelConfig
from lcnet.modelfile import ModelFile
from lcnet.runtime import stream as module
from lcnet.sources.found import Found

pytestmark = pytest.mark.alone

MODEL = "lcnet_050.cifar10"


@pytest.fixture(scope="module")
def model():
    return lcnet.load(MODEL, threads=2)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    ends = time.monotonic() + 10
    while (left := [t.name for t in threading.enumerate() if t.name.startswith("lcnet")]) and time.monotonic() < ends:
        time.sleep(0.01)
    assert left == []


class Counter:
    """A model that does nothing but give back the number it was given; `gate` holds it up."""

    threads = 2
    arch = SimpleNamespace(num_classes=1)

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.batches = []

    def preprocess(self, images):
        self.gate.wait()
        if images[0] == "bad":
            raise lcnet.ImageError("bad: it is bad")
        return np.full((1, 1), float(images[0]), np.float32)

    def embeddings(self, x):
        self.batches.append(len(x))
        return x


def through(model, images, workers=None, **options):
    """A stream of embeddings of what is found already."""
    workers = model.threads if workers is None else workers
    return module.stream(images, model.preprocess, model.embeddings, workers=workers, **options)


def numbers(counter, given, **options):
    return [s.value if s.error is None else str(s.error) for s in through(counter, given, **options)]


def test_results_are_those_of_one_by_one_for_every_kind(model):
    images = [picture(seed=i) for i in range(11)]
    for kind in ("probs", "logits", "embeddings"):
        found = [s.value for s in model.stream(images, kind)]
        assert np.array_equal(np.stack(found), getattr(model, kind)(images))
    assert [s.value for s in model.stream(images, top_k=3)] == model.classify(images, 3)
    maps = [s.value for s in model.stream(images, "feature_maps", out_indices=(4, -3))]
    for i, expected in enumerate(model.feature_maps(images, (4, -3))):
        assert np.array_equal(np.stack([m[i] for m in maps]), expected)
    assert all(a.source is b for a, b in zip(model.stream(images), images, strict=True))


def test_two_thousand_files_stay_in_order_with_errors_between(model, tmp_path):
    pictures = [encoded(picture(seed=i), "PNG") for i in range(20)]
    expected = [model.classify(p, 1)[0] for p in pictures]
    for i in range(2000):
        (tmp_path / f"{i:04}.png").write_bytes(b"broken" if i % 7 == 3 else pictures[i % 20])
    found = list(model.stream(tmp_path, top_k=1, errors="yield"))
    assert [s.source.name for s in found] == [f"{i:04}.png" for i in range(2000)]
    for i, s in enumerate(found):
        if i % 7 == 3:
            assert s.value is None and isinstance(s.error, lcnet.ImageError) and s.source.name in str(s.error)
            assert s.error.__traceback__ is s.error.__cause__ is None  # they would keep pictures in memory
        else:
            assert s.error is None and s.value == expected[i % 20] and s.seconds > 0


def test_it_reads_a_bounded_way_ahead():
    counter, read = Counter(), 0

    def endless():
        nonlocal read
        while True:
            yield read
            read += 1

    most = module.WINDOW * 4 * 2
    with_window = through(counter, endless(), batch_size=4)
    for taken in range(1, 500):
        assert next(with_window).value == taken - 1
        assert read <= taken + most
    with_window.close()
    assert max(counter.batches) <= 4


def test_what_is_read_ahead_is_bounded_in_bytes_too(monkeypatch):
    monkeypatch.setattr(module, "WINDOW_BYTES", 1000)
    counter, read = Counter(), []

    class Heavy(Found):
        def open(self):
            return 1

    def heavy():
        while True:
            read.append(1)
            yield Heavy("x", bytes, weight=600)

    found = through(counter, heavy())
    for taken in range(1, 50):
        next(found)
        assert len(read) <= taken + 2
    found.close()


def test_memory_does_not_grow_with_the_number_of_pictures(model):
    image = encoded(picture(), "PNG")

    def peak(number):
        tracemalloc.start()
        assert sum(1 for _ in model.stream((bytes(image) for _ in range(number)), "probs")) == number
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(50)
    assert peak(600) < 2 * peak(100) + 1_000_000


def test_answers_come_while_the_source_is_still_waiting():
    counter, go_on = Counter(), threading.Event()

    def slow():
        yield from (0, 1, 2)
        go_on.wait()
        yield 3

    found = through(counter, slow())
    assert [int(next(found).value[0]) for _ in range(3)] == [0, 1, 2]
    go_on.set()
    assert next(found).value == 3
    with pytest.raises(StopIteration):
        next(found)


def test_leaving_while_the_source_blocks_does_not_wait_for_it():
    counter, go_on = Counter(), threading.Event()

    def blocked():
        yield 0
        go_on.wait()

    found = through(counter, blocked())
    next(found)
    found.close()
    assert not [t for t in threading.enumerate() if t.name == "lcnet worker"]
    go_on.set()


def test_leaving_early_stops_the_threads():
    for number in (0, 1, 5):
        found = through(Counter(), iter(int, 1))  # zeros without end
        for _ in range(number):
            next(found)
        found.close()
        assert not [t for t in threading.enumerate() if t.name.startswith("lcnet")]


def test_an_error_of_the_consumer_or_a_break_stops_the_threads():
    with pytest.raises(ZeroDivisionError):
        for s in through(Counter(), iter(int, 1)):
            1 / s.value[0].item()
    for _ in through(Counter(), iter(int, 1)):
        break


def test_an_error_is_raised_at_its_place():
    given = [0, 1, "bad", 3]
    assert numbers(Counter(), given, errors="yield") == [0, 1, "bad: it is bad", 3]
    for workers in (0, 2):
        found = through(Counter(), given, workers=workers)
        assert next(found).value == 0 and next(found).value == 1
        with pytest.raises(lcnet.ImageError, match="it is bad"):
            next(found)
        assert list(found) == []


def test_an_error_of_the_source_comes_after_the_answers_before_it():
    def breaking():
        yield from range(20)
        raise KeyError("source")

    found, values = through(Counter(), breaking(), errors="yield"), []
    with pytest.raises(KeyError, match="source"):
        values.extend(int(s.value[0]) for s in found)
    assert values == list(range(20))


def test_what_is_no_picture_s_fault_is_always_raised():
    counter = Counter()
    counter.embeddings = lambda x: 1 / 0
    for workers in (0, 2):
        with pytest.raises(ZeroDivisionError):
            numbers(counter, range(50), errors="yield", workers=workers)


def test_one_picture_starts_no_thread(model, monkeypatch, tmp_path):
    (tmp_path / "x.png").write_bytes(encoded(picture(), "PNG"))
    monkeypatch.setattr(threading.Thread, "start", lambda self: pytest.fail("a thread was started"))
    for one in (picture(), str(tmp_path / "x.png"), tmp_path / "x.png", encoded(picture(), "PNG"), [picture()]):
        assert len(list(model.stream(one))) == 1
    assert len(list(model.stream([picture()] * 3, workers=0))) == 3
    assert list(through(model, [])) == []


def test_few_pictures_start_few_threads():
    counter = Counter()
    counter.threads = 50
    found = through(counter, (i for i in range(3)))
    next(found)
    assert len([t for t in threading.enumerate() if t.name == "lcnet worker"]) <= 3
    assert len(list(found)) == 2


def test_a_system_without_threads_to_give_does_with_those_there_are(monkeypatch):
    real, started = threading.Thread.start, []

    def start(self):
        if self.name == "lcnet worker":
            if started:
                raise RuntimeError("can't start new thread")
            started.append(1)
        real(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    assert numbers(Counter(), iter(range(40)), workers=8) == list(range(40))
    with pytest.raises(RuntimeError):
        numbers(Counter(), iter(range(40)), workers=8)


def test_two_threads_stream_through_one_model(model):
    sets = [[picture(seed=100 * part + i) for i in range(60)] for part in range(2)]
    expected = [model.probs(images) for images in sets]
    wrong = []

    def run(part):
        for _ in range(3):
            found = np.stack([s.value for s in model.stream(iter(sets[part]), "probs")])
            if not np.array_equal(found, expected[part]):
                wrong.append(part)

    threads = [threading.Thread(target=run, args=(part,)) for part in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


def test_ctrl_c_while_waiting_stops_the_threads():
    import _thread

    counter = Counter()
    counter.gate.clear()
    threading.Timer(0.2, _thread.interrupt_main).start()
    threading.Timer(0.4, counter.gate.set).start()
    with pytest.raises(KeyboardInterrupt):
        list(through(counter, iter(int, 1)))


def test_a_process_that_leaves_a_stream_open_ends():
    code = (
        "import itertools, lcnet, numpy\n"
        f"m = lcnet.load({MODEL!r}, threads=2)\n"
        "found = m.stream(itertools.repeat(numpy.zeros((9, 9, 3), numpy.uint8)))\n"
        "print(len(next(found).value.top))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "5\n", "")


def test_archives_folders_and_pictures_in_one_stream(model, tmp_path):
    import zipfile

    data = encoded(picture(), "PNG")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.png").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("b.png", data)
        archive.writestr("c.png", b"broken")
    given = [tmp_path / "d", str(tmp_path / "x.zip"), data, tmp_path / "gone.png", str(tmp_path / "no*")]
    found = list(model.stream(given, errors="yield"))
    assert [s.error is None for s in found] == [True, True, False, True, False, False]
    assert found[0].value == found[1].value == found[3].value
    name = f"{tmp_path / 'x.zip'}!/c.png"
    assert str(found[2].source) == name and str(found[2].error).startswith(f"{name}: ")
    assert found[4].source is given[3]


@pytest.mark.parametrize(
    "options, words",
    [
        ({"kind": "classes"}, "kind is 'classes'"),
        ({"top_k": 0}, "top_k is 0"),
        ({"errors": "ignore"}, "errors is 'ignore'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"workers": -1}, "workers is -1"),
        ({"workers": True}, "workers is True"),
        ({"kind": "feature_maps", "out_indices": (5,)}, "out_indices has 5"),
    ],
)
def test_unusable_options_are_named_at_once(model, options, words):
    with pytest.raises(lcnet.InputError, match=words):
        model.stream([], **options)


def test_a_model_without_classes_says_so_at_once():
    arch = Arch(0.25, num_classes=0)
    model = lcnet.Classifier(ModelFile(ModelConfig(arch), random_weights(arch)), threads=1)
    with pytest.raises(lcnet.InputError, match="no classifier"):
        model.stream([picture()])
    assert next(model.stream([picture()], "embeddings")).value.shape == (1280,)


def test_what_cannot_be_a_picture_is_an_error_of_its_own(model):
    found = list(model.stream([picture(), 7, [picture()], picture()], errors="yield"))
    assert [type(s.error) for s in found] == [type(None), lcnet.InputError, lcnet.InputError, type(None)]
