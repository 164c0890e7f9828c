"""One family of options: over all commands a name has one short form, one meaning and one default; old spellings warn."""

from collections import defaultdict
from typing import NamedTuple

import click
import pytest
from click.testing import CliRunner
from labelled import animals

from lcnet import hub
from lcnet.cli import ABSENT, COMMANDS, ELSEWHERE, every_command, main
from lcnet.cli.either import Either, Place, Renamed, either, renamed_option

ALL = every_command()
OWN = None  # a command says in its own words what it is there


class Row(NamedTuple):
    """An option that several commands have: short form, default, meaning, and the commands where these differ."""

    short: str | None
    default: object
    help: str | None
    differs: tuple[str, ...] = ()


THREADS = "Processors to use.  [default: all that may be used]"
TABLE = {
    "--model": Row(
        "-m", "lcnet_050", "A name (`lcnet models`) or a file.", ("train", "bench", "upright", "gallery add", "gallery search")
    ),
    "--output": Row("-o", None, OWN, ("embed", "features")),
    "--html": Row(None, None, "Write a page of thumbnails, in one file."),
    "--min-similarity": Row(None, None, OWN, ("duplicates", "gallery search")),
    "--top": Row("-k", None, OWN, ("classify",)),
    "--overwrite": Row(None, None, "Replace what stands where the output goes.", ("classify", "embed", "features")),
    "--report": Row(None, None, OWN),
    "--in-place": Row(None, None, OWN),
    "--dry-run": Row(None, None, "Change nothing, and say what would be done."),
    "--resume": Row(None, None, OWN),
    "--update": Row(None, None, OWN),
    "--prune": Row(None, None, OWN),
    "--threshold": Row(None, None, OWN),
    "--input-size": Row(None, None, OWN),
    "--recursive": Row("-r", None, "Take the folders in folders too."),
    "--format": Row("-f", "table", OWN, ("classify", "embed", "features", "upright", "undo", "duplicates")),
    "--wide": Row(None, None, OWN),
    "--shard": Row(None, None, OWN),
    "--ray": Row(None, None, OWN),
    "--ray-address": Row(None, None, OWN),
    "--csv-safe": Row(
        None, None, "In CSV put ' before text that a spreadsheet would take for a formula, and before text that begins with '."
    ),
    "--threads": Row(None, None, THREADS, ("bench", "serve")),
    "--precision": Row(None, "fp32", "bf16 where the CPU has it.", ("bench",)),
    "--isa": Row(None, None, "Kernels to use; `lcnet info --cpu` lists them."),
    "--decode": Row(None, "exact", "fast: JPEG files far larger than the input are decoded at a fraction of their size."),
    "--max-pixels": Row(None, 178956970, "Refuse larger pictures, by their header.", ("serve",)),
    "--max-member": Row(None, 256, "The largest picture in an archive that is read."),
    "--frames": Row(None, "first", OWN),
    "--files-from": Row(None, None, "Read paths from a file, or with - from standard input: one a line, or with NULs between."),
    "--skip-unreadable": Row(None, None, "Leave out pictures that cannot be read, and list them; the exit code is 1 then."),
    "--columns": Row(
        None, None, "Columns of a table, such as 'path=img,label=kind,split=fold'; usual names are known without."
    ),
    "--label-separator": Row(None, "|", "Between several labels of a picture, in tables and shards."),
    "--labels-from-names": Row(
        None,
        None,
        "Find the class in a picture's name: 'auto' takes cat from cat.0.jpg; or a regular expression with one group.",
    ),
}


def options_of(command):
    return [p for p in ALL[command].params if isinstance(p, click.Option) and not p.hidden]


def long_of(option):
    return next(name for name in option.opts if name.startswith("--"))


def default_of(option):
    value = option.to_info_dict()["default"]
    return None if value in (None, False, "", ()) or "UNSET" in repr(value) else value


BY_NAME = defaultdict(dict)
for _command in ALL:
    for _option in options_of(_command):
        BY_NAME[long_of(_option)][_command] = _option
SHARED = {name: found for name, found in BY_NAME.items() if len(found) > 1}


def test_a_name_has_one_short_form_and_a_short_form_one_name():
    shorts, names = defaultdict(set), defaultdict(set)
    for name, found in BY_NAME.items():
        for option in found.values():
            short = tuple(o for o in option.opts if not o.startswith("--"))
            assert len(short) <= 1 and len([o for o in option.opts if o.startswith("--")]) == 1, option.opts
            shorts[name].add(short)
            for each in short:
                names[each].add(name)
    assert {name: found for name, found in shorts.items() if len(found) > 1} == {}
    assert {short: found for short, found in names.items() if len(found) > 1} == {}
    assert names["-r"] == {"--recursive"} and names["-m"] == {"--model"} and names["-o"] == {"--output"}


def test_every_option_of_several_commands_is_in_the_table():
    assert set(SHARED) <= set(TABLE), "an option that a second command takes needs a row, and the words of the first"


@pytest.mark.parametrize("name", sorted(SHARED))
def test_an_option_means_the_same_everywhere(name):
    row = TABLE[name]
    assert set(row.differs) <= set(ALL)
    for command, option in SHARED[name].items():
        assert [o for o in option.opts if not o.startswith("--")] == ([row.short] if row.short else []), command
        if command in row.differs:
            continue
        assert row.help is OWN or option.help == row.help, f"{command} {name}: {option.help}"
        needed = isinstance(option, Either) or option.required
        assert default_of(option) in ((None, row.default) if needed else (row.default,)), f"{command} {name}"


@pytest.mark.parametrize("command", ALL)
def test_the_family_of_every_command(command):
    names = {long_of(o): o for o in options_of(command)}
    places = {p.metavar for p in ALL[command].params if isinstance(p, Place)}
    if "[MODEL]" in places:
        assert "--model" in names
    if "--output" in names and command != "download":  # whose file is the one of that name, or refused
        assert "--overwrite" in names
    assert not {"target", "out", "output", "model"} & {p.name for p in ALL[command].params if type(p) is click.Argument}
    for option in (o for o in options_of(command) if long_of(o) == "--format"):
        assert set(option.type.choices) <= {"table", "json", "jsonl", "csv"} and "json" in option.type.choices


@click.command()
@either("--model", "-m", metavar="MODEL", help="x")
@click.argument("data")
@either("--output", "-o", metavar="OUTPUT", must=False, help="x")
@renamed_option("-x", "--extra")
@click.option("--extra")
@renamed_option("--file", "--several", multiple=True)
@click.option("--several", multiple=True)
@renamed_option("--old", "--flag", is_flag=True)
@click.option("--flag", is_flag=True)
def probe(**given):
    click.echo(" ".join(f"{k}={v}" for k, v in sorted(given.items()) if v))


def said(line):
    return CliRunner().invoke(probe, line.split())


@pytest.mark.parametrize(
    "line",
    [
        "M D",
        "D -m M",
        "-m M D",
        "--model=M D",
        "-mM D",
        "M D O",
        "D -m M -o O",
        "D O -m M",
        "-o O -m M D",
        "-o O M D",
        "-m M D O",
    ],
)
def test_by_a_place_or_by_an_option(line):
    out = " output=O" if "O" in line else ""
    assert said(line).stdout == f"data=D model=M{out}\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "Missing MODEL: name it in its place, or by --model or -m."),
        ("M", "Missing argument 'DATA'"),
        ("-m M", "Missing argument 'DATA'"),
        ("M D O -m N", "MODEL is named twice: in its place, and by --model or -m."),
        ("M D O -o P", "OUTPUT is named twice"),
        ("-o P -m M D O", "OUTPUT is named twice"),
        ("D O -m M -o P", "OUTPUT is named twice"),
        ("M D O P", "unexpected extra argument"),
    ],
)
def test_by_both_or_by_neither_is_usage(line, words):
    done = said(line)
    assert done.exit_code == 2 and words in done.stderr and done.stdout == "", done.output


@pytest.mark.parametrize(
    ("line", "result", "warning"),
    [
        ("M D -x 5", "data=D extra=5 model=M", "-x is called --extra"),
        ("M D --file a --several b --file c", "data=D model=M several=('b', 'a', 'c')", "--file is called --several"),
        ("M D --old", "data=D flag=True model=M", "--old is called --flag"),
    ],
)
def test_an_old_spelling_works_and_warns_in_one_line(line, result, warning):
    done = said(line)
    assert done.stdout == f"{result}\n"
    assert set(done.stderr.splitlines()) == {f"lcnet: {warning}; the old name goes with the next minor release"}
    assert warning.split()[0] not in CliRunner().invoke(probe, ["--help"]).stdout.split()


def test_the_old_spellings_that_there_are():
    old = {(name, o.opts[0], o.new) for name, command in ALL.items() for o in command.params if isinstance(o, Renamed)}
    assert old == {
        ("train", "-r", "--recipe"),
        ("download", "--to", "--output"),
        ("bench", "--json", "--output"),
        ("bench", "--plot", "--output"),
    }
    for command, _, new in old:
        assert new in {long_of(o) for o in options_of(command)}


def ok(*arguments):
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output
    return done


def test_the_same_by_place_and_by_option(tmp_path):
    animals(tmp_path / "data", count=2)
    name, data = "lcnet_050.cifar10", tmp_path / "data"
    assert ok("evaluate", name, data, "--threads", 1).stdout == ok("evaluate", data, "-m", name, "--threads", 1).stdout
    assert ok("info", name).stdout == ok("info", "-m", name).stdout
    assert ok("download", name).stdout == ok("download", "--model", name).stdout
    ok("convert", hub.locate(name).path, tmp_path / "a.safetensors")
    ok("convert", hub.locate(name).path, "-o", tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    ok("pack", data, tmp_path / "a")
    ok("pack", data, "-o", tmp_path / "b")
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == sorted(p.name for p in (tmp_path / "b").iterdir())
    pytest.importorskip("onnx", reason="onnx (extra: export) is not installed")
    for number, line in enumerate(([name, 0], [name, "-o", 0], ["-m", name, 0], ["-o", 0, "--model", name])):
        target = tmp_path / f"{number}.onnx"
        ok("export", *(target if word == 0 else word for word in line))
        assert target.read_bytes() == (tmp_path / "0.onnx").read_bytes()


def test_download_to_is_output(tmp_path):
    new, old = (
        ok("download", "lcnet_050.cifar10", "-o", tmp_path / "a"),
        ok("download", "lcnet_050.cifar10", "--to", tmp_path / "b"),
    )
    assert new.stderr == "" and "--to is called --output" in old.stderr
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()


def test_a_recipe_by_its_old_short_form(tmp_path, torch):
    done = CliRunner().invoke(main, ["train", str(tmp_path / "none"), "-o", str(tmp_path / "run"), "-r", "no-such-recipe"])
    assert done.exit_code == 4 and "-r is called --recipe" in done.stderr and "no-such-recipe" in done.stderr


def test_a_report_of_data_is_written_as_its_name_ends_and_never_over_another(tmp_path):
    animals(tmp_path / "data", count=4)
    ok("check-data", tmp_path / "data", "-o", tmp_path / "r.json")
    assert (tmp_path / "r.json").read_text().startswith("{")
    ok("check-data", tmp_path / "data", "-o", tmp_path / "r.txt")
    assert (tmp_path / "r.txt").read_text().startswith("train")
    ok("check-data", tmp_path / "data", "-f", "json", "-o", tmp_path / "r.json", "--overwrite")
    for code, line in ((4, ["-o", "r.json"]), (2, ["-f", "table", "-o", "s.json"]), (2, ["-f", "json", "-o", "s.txt"])):
        line = [str(tmp_path / word) if "." in word else word for word in line]
        assert CliRunner().invoke(main, ["check-data", str(tmp_path / "data"), *line]).exit_code == code
    assert not list(tmp_path.glob("s.*"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("predict", "`lcnet classify`"),
        ("validate", "`lcnet evaluate`"),
        ("val", "`lcnet evaluate`"),
        ("test", "`lcnet evaluate`"),
        ("detect", "`lcnet classify`"),
        ("fine-tune", "`lcnet train DATA --recipe finetune -m MODEL`"),
        ("FineTune", "`lcnet train DATA --recipe finetune -m MODEL`"),
        ("server", "`lcnet serve`"),
        ("annotate", "folder for each class"),
        ("clasify", "did you mean 'classify'"),
        ("quantise", "`lcnet quantize`"),
        ("zzzzz", "`lcnet --help` lists all"),
        ("a\x1b[2J", "no such command 'a\\x1b[2J'"),
    ],
)
def test_a_command_that_is_not_there_says_which_is(name, words):
    done = CliRunner().invoke(main, [name, "x"])
    assert done.exit_code == 2 and words in done.stderr.splitlines()[-1], done.stderr


def test_what_is_named_from_elsewhere_is_a_command_here():
    assert not {*ELSEWHERE, *ABSENT} & set(COMMANDS) and not set(ELSEWHERE) & set(ABSENT)
    for words in ELSEWHERE.values():
        first, *rest = [words] if words in ALL else words.split()
        known = {o for p in ALL[first].params for o in p.opts} if first in ALL else {}
        assert first in (*ALL, "--help", "--version") and all(w in known for w in rest if w.startswith("-")), words


def test_models_fit_a_terminal_of_80_columns():
    every = ok("models", "--format", "json").stdout.count('"name"')
    lines = ok("models").stdout.splitlines()
    assert max(map(len, lines)) <= 80 and lines.index("") == every + 1
    wide = ok("models", "--wide").stdout.splitlines()
    assert max(map(len, wide)) > 80 and wide.index("") == every + 1 and "sketch" in wide[0] and "sketch" not in lines[0]
    (mark,) = (line for line in lines if line.startswith("[1] "))
    assert "CIFAR-10" in mark and all(("[1]" in line) == ("cifar10" in line) for line in lines[1 : every + 1])
