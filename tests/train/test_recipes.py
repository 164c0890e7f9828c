"""The named recipes, recipes from files, and `lcnet recipes`."""

import json
import subprocess
import sys
from dataclasses import fields

import pytest
from click.testing import CliRunner

from lcnet.cli.recipes import recipes as command
from lcnet.errors import InputError
from lcnet.train.recipe import Recipe
from lcnet.train.recipes import RECIPES, recipe

KEYS = {field.name for field in fields(Recipe)}


def test_the_ra2_family_scales_its_rate_with_the_batch():
    ra2 = RECIPES["ra2"].recipe
    assert ra2.lr == pytest.approx(6.25e-5 * ra2.batch_size)
    assert (ra2.optimizer, ra2.schedule, ra2.ema_version) == ("rmsprop_tf", "step", 2)


@pytest.mark.parametrize("name", RECIPES)
def test_inferred_keys_are_keys_and_everything_has_a_source(name):
    published = RECIPES[name]
    assert set(published.inferred) <= KEYS
    assert published.source and published.about


def test_each_procedure_of_resnet_strikes_back():
    a1, a2, a3 = (RECIPES[name].recipe for name in ("a1", "a2", "a3"))
    assert [r.epochs for r in (a1, a2, a3)] == [600, 300, 100]
    assert [r.lr for r in (a1, a2, a3)] == [5e-3, 5e-3, 8e-3]
    assert [r.weight_decay for r in (a1, a2, a3)] == [0.01, 0.02, 0.02]
    assert [r.label_smoothing for r in (a1, a2, a3)] == [0.1, 0.0, 0.0]
    assert [r.mixup for r in (a1, a2, a3)] == [0.2, 0.1, 0.1]
    assert [r.repeats for r in (a1, a2, a3)] == [3, 3, 1]
    assert (a3.input_size, a3.final_size) == (160, 224)


def test_by_name_with_settings():
    changed = recipe("quick", ["epochs=3", "schedule=step", "scale=[0.5, 1]"])
    assert (changed.epochs, changed.schedule, changed.scale) == (3, "step", (0.5, 1.0))
    assert changed.change({"epochs": 30, "schedule": "cosine", "scale": (0.35, 1.0)}) == RECIPES["quick"].recipe


def test_an_unknown_name_is_answered_with_a_near_one():
    with pytest.raises(InputError, match=r"did you mean 'paddle'"):
        recipe("padle")


@pytest.mark.parametrize("wrap", [lambda r: r, lambda r: {"recipe": r, "classes": ["a", "b"]}], ids=["bare", "nested"])
@pytest.mark.parametrize("name", RECIPES)
def test_from_a_file(tmp_path, name, wrap):
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(wrap(RECIPES[name].recipe.to_json())), encoding="utf-8")
    assert recipe(path) == recipe(str(path)) == RECIPES[name].recipe
    assert recipe(path, ["epochs=2"]).epochs == 2


def test_keys_that_a_file_lacks_have_the_defaults(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text('{"epochs": 4}', encoding="utf-8")
    assert recipe(path) == Recipe(epochs=4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[" * 200_000, "cannot be read"),
        (b"[1]", "found list"),
        (b'{"recipe": 3}', "found int"),
        (b'{"epoch": 3}', "did you mean 'epochs'"),
        (b'{"epochs": "3"}', "a whole number"),
        (b'{"lr": NaN}', "lr is nan"),
    ],
)
def test_a_bad_file_is_named_with_the_reason(tmp_path, content, message):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        recipe(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"missing\.json"):
        recipe(tmp_path / "missing.json")


def invoke(*arguments):
    return CliRunner().invoke(command, arguments)


def test_the_command_lists_every_recipe():
    result = invoke()
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.output.splitlines()[1 : 1 + len(RECIPES)]] == list(RECIPES)
    listed = json.loads(invoke("--format", "json").output)
    assert {row["name"]: row["recipe"]["epochs"] for row in listed} == {k: p.recipe.epochs for k, p in RECIPES.items()}


@pytest.mark.parametrize("name", RECIPES)
def test_the_command_prints_every_key_as_it_can_be_set(name):
    output = invoke(name).output
    body = output.split("\n\n")[1].splitlines()
    marked = {line.split()[0] for line in body if line.endswith(" inferred")}
    values = {line.split()[0]: line.removesuffix("inferred").split(maxsplit=1)[1].strip() for line in body}
    assert values.keys() == KEYS and marked == set(RECIPES[name].inferred)
    assert recipe("ra2", [f"{key}={value}" for key, value in values.items()]) == RECIPES[name].recipe
    assert RECIPES[name].source in output


def test_what_the_command_prints_as_json_is_a_recipe_file(tmp_path):
    path = tmp_path / "a2.json"
    path.write_text(invoke("a2", "-f", "json").output, encoding="utf-8")
    assert recipe(path) == RECIPES["a2"].recipe


def test_the_command_refuses_an_unknown_name():
    result = invoke("padle")
    assert isinstance(result.exception, InputError) and "did you mean" in str(result.exception)


def test_neither_recipes_nor_the_command_imports_torch():
    code = "import sys, lcnet.cli.recipes as c; c.recipes(['ra2'], standalone_mode=False); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0
