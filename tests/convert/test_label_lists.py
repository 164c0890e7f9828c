"""Lists of class names as other projects write them: the right names in the right order, or one line that says why not."""

import json

import pytest

from lcnet.convert import read_labels
from lcnet.errors import InputError

NAMES = ("cat", "dog", "cow")
WAYS = {
    "paddle": "0 cat\n1 dog\n2 cow\n",
    "out of order": "2 cow\n0 cat\n1 dog\n",
    "padded": "00 cat\n01  dog\n02 cow",
    "tab": "1\tdog\n0\tcat\n2\tcow",
    "colon": "0: cat\n1: dog\n2: cow",
    "number, comma": "0,cat\n2,cow\n1,dog",
    "semicolon": "0;cat\n2;cow\n1;dog",
    "behind": "cow,2\ncat,0\ndog,1\n",
    "behind a tab": "cow\t2\ncat\t0\ndog\t1\n",
    "behind a space": "cow 2\ncat 0\ndog 1\n",
    "header": "class,index\ncow,2\ncat,0\ndog,1\n",
    "header before": "id,name\r\n0,cat\r\n1,dog\r\n2,cow\r\n",
    "id2label": '{"2": "cow", "0": "cat", "1": "dog"}',
    "class_to_idx": '{"cow": 2, "cat": 0, "dog": 1}',
    "numbers as texts": '{"cow": "2", "cat": "0", "dog": "1"}',
    "hugging face": '{"model_type": "x", "id2label": {"0": "cat", "1": "dog", "2": "cow"}, '
    '"label2id": {"cat": 0, "dog": 1, "cow": 2}}',
    "timm": '{"architecture": "lcnet_050", "label_names": ["cat", "dog", "cow"]}',
    "timm with gaps": '{"label_names": {"0": "cat", "1": "dog", "2": "cow"}}',
    "nested": '{"class_to_idx": {"cow": 2, "cat": 0, "dog": 1}}',
    "a list inside": '{"nc": 3, "names": ["cat", "dog", "cow"]}',
    "coco": '{"categories": [{"id": 2, "name": "cow"}, {"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]}',
}


def read(tmp_path, text):
    path = tmp_path / "labels.txt"
    path.write_text(text, encoding="utf-8", newline="")
    return read_labels(path)


@pytest.mark.parametrize("way", WAYS)
def test_every_usual_way(tmp_path, way):
    labels = read(tmp_path, WAYS[way])
    assert (labels.names, labels.ids) == (NAMES, None)


@pytest.mark.parametrize(
    ("text", "names", "ids"),
    [
        ('"tench, Tinca tinca",1\n"say ""hi""",0', ('say "hi"', "tench, Tinca tinca"), None),
        ("0 tench, Tinca tinca\n1 goldfish, Carassius auratus", ("tench, Tinca tinca", "goldfish, Carassius auratus"), None),
        ("7 up,1\ncola,0", ("cola", "7 up"), None),
        ("Boeing 717\nFokker 50\nSpitfire", ("Boeing 717", "Fokker 50", "Spitfire"), None),
        ("Audi A4 2012\nBMW X5 2007", ("Audi A4 2012", "BMW X5 2007"), None),
        ("0\n1\n2", ("0", "1", "2"), None),
        ('["2", "1", "0"]', ("2", "1", "0"), None),
        ("class\nname", ("class", "name"), None),
        ('{"1": ["n2", "goldfish"], "0": ["n1", "tench"]}', ("tench", "goldfish"), ("n1", "n2")),
        ('{"label_names": ["n1", "n2"], "label_descriptions": {"n2": "dog", "n1": "cat"}}', ("cat", "dog"), ("n1", "n2")),
        ('{"names": ["cat"], "ids": ["n1"]}', ("cat",), ("n1",)),
    ],
)
def test_names_that_look_like_something_else(tmp_path, text, names, ids):
    labels = read(tmp_path, text)
    assert (labels.names, labels.ids) == (names, ids)


REFUSED = {
    "some": ("0 cat\ndog\n2 cow", r"line 2 \('dog'\) has no number, but line 1 \('0 cat'\) has: expected one on every line"),
    "gap": ("0 cat\n1 dog\n3 cow", r"line 3 \('3 cow'\) has the number 3, and none is 2: expected 0 to 2"),
    "from 1": ("1 cat\n2 dog", r"line 2 \('2 dog'\) has the number 2, and none is 0: expected 0 to 1"),
    "twice": ("cat,0\ndog,0", r"line 2 \('dog,0'\) has the number 0, as line 1 \('cat,0'\) has: expected 0 to 1"),
    "two numbers": ("0 1\n1 0", r"line 1 \('0 1'\) has two numbers"),
    "two orders": ("0 cat,1\n1 dog,0", r"line 1 \('0 cat,1'\) has two numbers, and so have all"),
    "a number for a name": ("3,0\n5,1", r"line 1 \('3,0'\) has two numbers, and either could be the name"),
    "numbers alone": ("3\n1\n2", r"line 1 \('3'\) is a number, as all are: expected names"),
    "empty line": ("0 cat\n\n1 dog", "line 2 is empty: expected a class's name on every line"),
    "two kinds": ("cat\nn2\tdog", r"line 2 \('n2\\tdog'\): expected a name, or an id, a tab and a name, on every line"),
    "three columns": ("a\tb\tc", r"line 1 \(.*\): expected a name, or an id"),
    "json gap": ('{"0": "cat", "2": "dog"}', "'2' has the number 2, and none is 1: expected 0 to 1"),
    "json same number": ('{"cat": 0, "dog": 0}', "'dog' has the number 0, as 'cat' has: expected 0 to 1"),
    "json same key": ('{"0": "cat", "0": "dog"}', "'0' stands there twice: expected it once"),
    "json both": ('{"0": "1", "1": "0"}', "numbers on both sides"),
    "json neither": ('{"cat": "dog"}', "'cat' is neither"),
    "json empty": ("{}", "expected a list of names"),
    "json numbers": ("[1, 2]", r"labels\.names is \(1, 2\), expected a list of texts"),
    "json null": ('{"0": null}', "expected a list of texts"),
    "json differ": (
        '{"id2label": {"0": "cat", "1": "dog"}, "label2id": {"cat": 1, "dog": 0}}',
        "id2label and label2id differ: expected one list of names",
    ),
    "json negative": ('{"cat": -1, "dog": 0}', "'cat' has the number -1, and none is 1"),
    "json deep": ("[" * 100_000, "recursion"),
    "json cut": ('{"0": "cat"', "delimiter"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_could_mean_something_else_is_refused(tmp_path, case):
    text, match = REFUSED[case]
    with pytest.raises(InputError, match=match) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'labels.txt'}: no list of labels: ")
    assert message.isprintable() and len(message) < 600


def test_long_lines_and_lists_take_no_time(tmp_path):
    labels = read(tmp_path, "".join(f"class {i},{i}\n" for i in reversed(range(20_000))))
    assert labels.names[:2] == ("class 0", "class 1") and len(labels.names) == 20_000
    assert read(tmp_path, json.dumps({str(i): f"x{i}" for i in range(20_000)})).names[19_999] == "x19999"
    for line in ("a" + "\t" * 1_000_000 + "b", "1" + " " * 1_000_000 + ",", "1" * 1_000_000, "a" + " ," * 500_000):
        assert read(tmp_path, json.dumps([line])).names == (line,)
        try:
            read(tmp_path, line)
        except InputError as error:
            assert len(str(error)) < 600
