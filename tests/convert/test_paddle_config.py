"""Paddle's YAML in our words: its preprocessing, labels and thresholds, and what would be something else by its name."""

import time
from pathlib import Path

import pytest
from paddle_files import sample

from lcnet.config import IMAGENET_MEAN, IMAGENET_STD, Decision, crop_pct_for
from lcnet.convert.paddle_config import read_paddle_config
from lcnet.errors import ModelFileError

INFERENCE = """
PreProcess:
  transform_ops:
  - ResizeImage: {resize}
  - NormalizeImage: {{channel_num: 3, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], scale: {scale}, order: ''}}
  - ToCHWImage: null
PostProcess:
  {post}
"""
TOPK = "Topk: {topk: 1, label_list: [a, b]}"
TRAINING = """
Global: {image_shape: [3, 80, 160], use_multilabel: False}
Arch:
  name: PPLCNet_x1_0
  class_num: 2
  stride_list: [2, [2, 1], [2, 1], [2, 1], [2, 1]]
  dropout_prob: 0.0
DataLoader:
  Eval: {dataset: {transform_ops: [{DecodeImage: {to_rgb: False}}, {ResizeImage: {size: [320, 160]}}]}}
Infer:
  transforms:
    - DecodeImage:
        to_rgb: True
        channel_first: False
    - ResizeImage:
        size: [160, 80]
    - NormalizeImage:
        scale: 1.0/255.0
        mean: [0.485, 0.456, 0.406]
        std: [0.229, 0.224, 0.225]
        order: ''
    - ToCHWImage:
  PostProcess:
    name: Topk
    topk: 1
    class_id_map_file: ppcls/utils/PULC_label_list/labels.txt
"""


def read(text, path=Path("inference.yml")):
    return read_paddle_config(path, text.encode())


def inference(resize="{size: [160, 80]}", scale="0.00392156862745098", post=TOPK):
    return INFERENCE.format(resize=resize, scale=scale, post=post)


COMMON = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD, "resize": "opencv", "alpha": "drop", "channel_order": "rgb"}
STRETCHED = COMMON | {"input_size": (3, 80, 160), "interpolation": "bilinear", "crop_mode": "squash", "crop_pct": 1.0}
CROPPED = COMMON | {"input_size": (3, 224, 224), "interpolation": "bilinear", "crop_mode": "center", "crop_pct": 0.875}


def test_the_official_files():
    text_line = read(sample("PP-LCNet_x0_25_textline_ori_v1", "inference.yml").read_text())
    assert text_line.preprocessing == STRETCHED
    assert text_line.labels.names == ("0_degree", "180_degree")
    assert text_line.decision(text_line.labels) == Decision()
    assert text_line.name == "PP-LCNet_x0_25_textline_ori"
    page = read(sample("PP-LCNet_x1_0_doc_ori_graph_only", "inference.yml").read_text())
    assert page.preprocessing == CROPPED
    assert page.labels.names == ("0", "90", "180", "270")


@pytest.mark.parametrize("scale", ["0.00392157", "1.0/255.0", "'1./255.'", "0.00392156862745098"])
def test_every_way_of_saying_a_255th(scale):
    assert read(inference(scale=scale)).preprocessing == STRETCHED


def test_another_scale_is_in_mean_and_deviation():
    found = read(inference(scale="1.0")).preprocessing
    pixel = 100.0
    for channel in range(3):
        expected = (pixel * 1.0 - IMAGENET_MEAN[channel]) / IMAGENET_STD[channel]
        assert (pixel / 255 - found["mean"][channel]) / found["std"][channel] == pytest.approx(expected)


def test_labels_are_what_is_written():
    post = "Topk: {label_list: [0, 090, no, null-ish, 1e3, 'null']}"
    assert read(inference(post=post)).labels.names == ("0", "090", "no", "null-ish", "1e3", "null")


def test_the_configuration_of_a_training(tmp_path):
    found = read(TRAINING, tmp_path / "config.yaml")
    assert found.preprocessing == STRETCHED
    assert found.arch == {"stem_stride": (2, 2), "stage_strides": ((1, 1), (2, 1), (2, 1), (2, 1), (1, 1), (2, 1))}
    assert (found.dropout, found.trained, found.labels, found.name) == (0.0, True, None, "PPLCNet_x1_0")
    (tmp_path / "labels.txt").write_text("0 up\n1 down\n")
    assert read(TRAINING, tmp_path / "config.yaml").labels.names == ("up", "down")


def decided(post):
    found = read(inference(post=post))
    return found.decision(found.labels)


def test_what_is_done_with_probabilities():
    """The rules themselves are tested in `test_decisions`; here is that they are found, with numbers that are texts."""
    several = "MultiLabelThreshOutput: {threshold: %s, label_list: [a, b, c]}"
    assert decided(TOPK) == Decision()
    assert decided(several % "0.7") == Decision(thresholds={"a": 0.7, "b": 0.7, "c": 0.7}, multi_label=True)
    assert decided(several % "[0.5, 0.3, 0.6]").thresholds == {"a": 0.5, "b": 0.3, "c": 0.6}
    assert decided(several % '{default: 0.5, "1": 0.3}').thresholds == {"a": 0.5, "b": 0.3, "c": 0.5}
    assert decided("ThreshOutput: {threshold: 0.9, label_list: [a, b]}") == Decision(thresholds={"b": 0.9}, default="a")
    with pytest.raises(ModelFileError, match="expected one for each of 3 classes"):
        decided(several % "[0.5, 0.3]")


def test_the_attributes_have_their_labels_and_groups():
    found = read(inference(post="{main_indicator: PersonAttribute, PersonAttribute: {threshold: 0.4}}"))
    assert found.labels.names[:2] == ("Hat", "Glasses")
    decision = found.decision(found.labels)
    assert decision.multi_label and decision.thresholds["Hat"] == 0.4 and len(decision.groups) == 11


def test_a_training_of_several_labels():
    assert read("Metric: {Eval: [{ATTRMetric: null}]}").decision(None) == Decision(multi_label=True)
    assert read("Global: {use_multilabel: True}").decision(None) == Decision(multi_label=True)
    assert read("Global: {use_multilabel: False}").decision(None) is None


def test_colours_backend_and_json():
    assert (
        read(inference().replace("- ResizeImage", "- DecodeImage: {to_rgb: False}\n  - ResizeImage")).preprocessing[
            "channel_order"
        ]
        == "bgr"
    )
    assert read(inference("{size: 448, backend: pil, interpolation: bilinear}")).preprocessing["resize"] == "pillow"
    assert read(inference("{resize_short: 473}").replace("ToCHWImage: null", "CropImage: {size: 321}")).preprocessing[
        "crop_pct"
    ] == crop_pct_for(321, 473)
    json = '{"PreProcess": {"transform_ops": [{"ResizeImage": {"resize_short": 256}}, {"CropImage": {"size": 224}}]}}'
    assert read(json, Path("config.json")).preprocessing["crop_pct"] == 0.875


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", r"inference\.yml: the file is .*, expected names with values"),
        ("a: [", "is no YAML"),
        ("a: &x [*y]", "is no YAML"),
        ("\0", "is no YAML"),
        (inference("{resize_short: 256}").replace("ToCHWImage", "RecResizeImg"), "RecResizeImg, which lcnet does not do"),
        (inference("{resize_short: 256}").replace("ToCHWImage: null", "CropImage: {size: [224, 112]}"), "crops no square"),
        (inference("{size: 256}").replace("ToCHWImage: null", "CropImage: {size: 224}"), "stretches the picture and crops"),
        (inference("{size: [1, 2, 3]}"), r"expected \[width, height\]"),
        (inference("{size: 0}"), r"expected \[width, height\]"),
        (inference("{size: x}"), "expected a number"),
        (inference("{}"), "neither resize_short nor size"),
        (inference("{size: 8, interpolation: CUBIC}"), "the interpolation cubic"),
        (inference(scale="0"), "expected a number above 0"),
        (inference(scale="1/0"), "expected a number"),
        (inference(scale="1e999"), "more than a number can be"),
        (inference(post="{name: CTCLabelDecode}"), "none of a classifier"),
        (inference(post="Topk: {label_list: 3}"), "label_list is 3, expected a list"),
        (inference(post="Topk: {label_list: [[a]]}"), "expected a text"),
        ("Arch: {stride_list: [2, 2]}", "2 entries, expected 5"),
        ("Arch: {stride_list: [2, 2, 2, 2, 3]}", "expected 1 or 2"),
        ("Arch: {dropout_prob: 1}", "from 0 to below 1"),
        ("a" * (1 << 17) + "b", "no such file has more"),
    ],
)
def test_what_cannot_be(text, words):
    with pytest.raises(ModelFileError, match=words) as caught:
        read(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        "a: &a [x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(20)),
        "a: &a {x: 1}\n"
        + "".join(f"{chr(98 + i)}: &{chr(98 + i)} {{<<: [*{chr(97 + i)}, *{chr(97 + i)}]}}\n" for i in range(20)),
        "a: " + "1:" * 50_000 + "1",
        "!!python/object/apply:os.system [exit]",
    ],
    ids=["deep", "aliases", "merges", "sexagesimal", "object"],
)
def test_bombs(text):
    began = time.monotonic()
    try:
        read(text)
    except ModelFileError as error:
        assert str(error).isprintable()
    assert time.monotonic() - began < 15
