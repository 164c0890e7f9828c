"""Tables as they are handed around: other names of columns, more of them, other separators, ids, and 0 and 1 a class."""

import os

import numpy as np
import pytest
from labelled import png, refused_by, write

from lcnet.dataset import open_dataset
from lcnet.dataset.reading import DEFAULTS
from lcnet.sources.passed import Passed


@pytest.fixture
def beside(tmp_path):
    """Writes a table and pictures beside it, opens it; a name of a picture is one of another seed each."""

    def open_table(text, files=("p/0.png", "p/1.png", "p/2.png", "p/3.png"), name="labels.csv", **options):
        write(tmp_path / "data", {file: seed for seed, file in enumerate(files)})
        path = tmp_path / "data" / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return open_dataset(path, **options)

    return open_table


def labels(part):
    """What each picture is, by the end of its name."""
    sets = part.targets if part.multi_label else np.eye(len(part.classes), dtype=int)[part.targets]
    names = (os.path.relpath(name, os.path.dirname(os.path.dirname(name))) for name in part.names)
    return {name: "+".join(np.array(part.classes)[row.astype(bool)]) for name, row in zip(names, sets, strict=True)}


CATS = {"p/0.png": "cat", "p/1.png": "dog"}


@pytest.mark.parametrize(
    "header",
    [
        "image,label,x",
        "filename,x,class",
        "file_name,Category,x",
        "File Name,target,x",
        "x,img,breed",
        "image_id,labels,x",
        "id,species,x",
        "path,label,class",  # path and label themselves come first
        "id,filename,label",
        "label,image_path,id",
        ",filename,kind",  # the index that pandas writes has no name; then what is left is the label
        "image,has_cactus",
        "foto,label",
    ],
)
def test_usual_names_of_columns(beside, header):
    names = [name.strip().lower().replace(" ", "_") for name in header.split(",")]
    place = next(
        n for n in ("path", "filename", "file_name", "image_path", "image", "img", "image_id", "id", "foto") if n in names
    )
    ranked = ("label", "labels", "class", "category", "target", "breed", "species", "kind", "has_cactus")
    label = next(n for n in ranked if n in names)
    rows = [{place: p, label: c} for p, c in CATS.items()]
    text = "\n".join([header, *(",".join(row.get(n, "7") for n in names) for row in rows)])
    assert labels(beside(text).train) == CATS


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("image,filename,label", ["'image' and 'filename' may each be the column of the path", "--columns path=NAME"]),
        ("path,class,target", ["'class' and 'target' may each be the column of the label", "--columns label=NAME"]),
        ("image_id,img_id,label", ["'image_id' and 'img_id'"]),
        ("foto,was,label", ["it has the columns foto,was,label", "--columns path=NAME"]),
    ],
)
def test_names_that_are_not_certain(beside, header, words):
    refused_by(lambda: beside(f"{header}\np/0.png,a,b\n"), "labels.csv: ", *words)


def test_columns_by_the_callers_word(beside):
    text = "image,filename,class,kind,fold\nx,p/0.png,1,cat,train\ny,p/1.png,1,dog,train\nz,p/2.png,1,cat,dev\n"
    train, val, _ = beside(text, columns="path=filename,label=kind,split=fold")
    assert labels(train) == CATS and labels(val) == {"p/2.png": "cat"}
    assert labels(beside(text, columns="path=Filename, label=kind,split=").train) == {**CATS, "p/2.png": "cat"}
    assert labels(beside('a,"b,c"\np/0.png,cat\np/1.png,dog\n', columns='path=a,"label=b,c"').train) == CATS
    refused_by(lambda: beside(text, columns="path=filname,label=kind"), "expected 'filname'", "did you mean 'filename'")
    refused_by(lambda: beside(text, columns="path=fold,label=fold"), "each once")


@pytest.mark.parametrize("columns", ["", "path", "path=", "paths=a", "path=a,path=b", "path=a label=b,x=c"])
def test_columns_that_say_nothing(beside, columns):
    refused_by(lambda: beside("path,label\np/0.png,a\n", columns=columns), "expected path=NAME,label=NAME,split=NAME")


def test_columns_that_are_not_taken_are_told(beside):
    passed = Passed()
    text = "path,label,width,source,\np/0.png,cat,32,web,\np/1.png,dog,32,web,\n"
    assert labels(beside(text, passed=passed).train) == CATS
    assert passed.text() == "columns that are not taken: 'width', 'source'"


def test_a_column_that_says_parts_is_never_left(beside):
    """A misspelt split would put the pictures of val into train."""
    text = "path,label,spllit\np/0.png,cat,train\np/1.png,dog,train\np/2.png,cat,val\n"
    refused_by(lambda: beside(text), "its column 'spllit' says train, val or test in every row", "--columns 'split=spllit'")
    assert labels(beside(text, columns="split=spllit").val) == {"p/2.png": "cat"}
    assert len(beside(text, columns="split=").train) == 3


def test_the_column_of_fastai(beside):
    splits = beside("name,label,is_valid\np/0.png,cat,False\np/1.png,dog,false\np/2.png,cat,True\n")
    assert labels(splits.train) == CATS and labels(splits.val) == {"p/2.png": "cat"}


@pytest.mark.parametrize("separator", [";", "\t", ","])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_separators_of_cells(beside, separator, name):
    text = '\ufeffpath,label\r\np/0.png,cat\r\n\r\np/1.png,"dog"\r\n'.replace(",", separator)
    assert labels(beside(text, name=name).train) == CATS
    assert labels(beside(text.replace(f"path{separator}label\r\n", ""), name=name).train) == CATS


def test_separators_of_which_one_makes_a_header(beside):
    text = 'path;label;a,b\np/0.png;"cat";1\np/1.png;dog;2,5\n'
    assert labels(beside(text).train) == CATS
    assert labels(beside("p/0.png,cat;x\np/1.png,dog\n").train) == {"p/0.png": "cat;x", "p/1.png": "dog"}


def test_paths_of_windows(beside, tmp_path):
    text = "path,label\np\\0.png,cat\n.\\p\\sub\\..\\1.png,dog\n"
    assert labels(beside(text).train) == CATS
    write(tmp_path / "data", {"p\\0.png": 9})  # elsewhere that is a file's name
    assert beside(text).train.read(0) == png(9)


KAGGLE = "id,breed\n000bec,boxer\n001.x,pug\n"


@pytest.mark.parametrize("folder", ["", "train/", "train/train/", "images/", "Train_Images/", "photos/"])
def test_ids_without_a_suffix(beside, folder):
    part = beside(KAGGLE, [f"{folder}000bec.jpg", f"{folder}001.x.PNG", "test/000bec.jpg"]).train
    assert part.classes == ("boxer", "pug") and part.targets.tolist() == [0, 1]
    assert [n.rpartition("/data/")[2] for n in part.names] == [f"{folder}000bec.jpg", f"{folder}001.x.PNG"]


def test_ids_and_names_in_the_folders_of_their_parts(beside):
    files = ["train/1.png", "train/2.png", "val/1.png", "train/4.png"]
    splits = beside("id,label,split\n1,a,train\n2.png,b,train\n1,b,val\n4,a,test\n", files)  # its own split of train
    found = {name: [n.rpartition("/data/")[2] for n in part.names] for name, part in splits.parts().items()}
    assert found == {"train": ["train/1.png", "train/2.png"], "val": ["val/1.png"], "test": ["train/4.png"]}
    assert splits.val.targets.tolist() == [1]
    part = beside("id,label\n1,a\n2,b\n", ["val/1.png", "train/1.png", "val/2.png", "train/2.png"], "val_labels.csv").train
    assert [n.rpartition("/data/")[2] for n in part.names] == ["val/1.png", "val/2.png"]


def test_ids_that_may_be_several_files(beside, tmp_path):
    refused_by(
        lambda: beside(KAGGLE, ["000bec.jpg", "000bec.png", "001.x.png"]), "row 2: 000bec may be", "000bec.jpg or ", "suffix"
    )
    for path in (tmp_path / "data").glob("0*"):
        path.unlink()
    files = ["train/000bec.jpg", "images/000bec.jpg", "001.x.png"]
    refused_by(lambda: beside(KAGGLE, files), "row 2: 000bec may be", "train/000bec.jpg or ", "images/000bec.jpg")


def test_ids_that_are_no_file(beside):
    refused_by(
        lambda: beside(KAGGLE, ["train/000bec.jpg", "other/001.x.jpg"]),
        "row 3: there is no file",
        "001.x, with a picture's suffix or without, nor in train",
    )
    refused_by(
        lambda: beside(KAGGLE, ["train/001.x.jpg", "val/000bec.jpg"], "val.csv"), "row 3: there is no file", "nor in val"
    )
    refused_by(lambda: beside("id,label\n../train,a\nb,b\n", ["train/a.jpg"]), "row 2: there is no file")
    refused_by(lambda: beside("id,label\n1.jpg,a\nb,b\n", ["train/a.jpg"]), "1.jpg, nor in train")


def test_a_column_of_0_and_1_for_each_class(beside):
    text = "filename,cat,ship,outdoor\np/0.png,1,0,1\np/1.png, 0 ,1.0,True\np/2.png,0.0,false,0\n"
    train = beside(text).train
    assert train.multi_label and train.classes == ("cat", "outdoor", "ship")
    assert train.targets.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]
    one = beside("image_id,split,dog,cat\np/0.png,train,1,0\np/1.png,train,0,1\np/2.png,val,1,0\n")
    assert not one.train.multi_label and one.train.classes == ("cat", "dog")
    assert one.train.targets.tolist() == [1, 0] and one.val.targets.tolist() == [1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("filename,cat,dog\np/0.png,1,0\np/1.png,2,0\n", ["row 3: its column 'cat' has '2', expected 0 or 1"]),
        ("filename,cat,dog\np/0.png,1,\n", ["row 2: its column 'dog' has ''"]),
        (
            "filename,width,kind\np/0.png,32,cat\n",
            ["row 2: its column 'width' has '32'", "no column is called label", "--columns"],
        ),
        ("filename,cat,dog\np/0.png,1\n", ["row 2: it has 2 columns, expected 3: filename,cat,dog"]),
    ],
)
def test_cells_that_are_neither(beside, text, words):
    refused_by(lambda: beside(text), "labels.csv: ", *words)


# Several labels in one cell


def test_a_separator_of_labels(beside):
    text = 'path,label\np/0.png,"cat, outdoor"\np/1.png,dog\n'
    train = beside(text, label_separator=",").train
    assert train.multi_label and train.classes == ("cat", "dog", "outdoor") and train.targets.tolist() == [[1, 0, 1], [0, 1, 0]]
    text = "image_name,tags\np/0.png,haze  primary\np/1.png,a|b haze\n"
    train = beside(text, label_separator=" ").train
    assert train.classes == ("a|b", "haze", "primary") and train.targets.tolist() == [[0, 1, 1], [1, 1, 0]]
    refused_by(lambda: beside('path,label\np/0.png,"cat,"\n', label_separator=","), "row 2: its label is empty: 'cat,'")
    for separator in ("", "\n"):
        refused_by(lambda separator=separator: beside(text, label_separator=separator), "label_separator is", "expected")


@pytest.mark.parametrize(
    ("names", "joint"),
    [
        (["cat,outdoor", "ship,outdoor"], ","),
        (["cat,dog", "dog, cat", "cat", "dog"], ","),
        (["clear;road", "cloudy;road"], ";"),
        (["clear primary", "haze primary", "clear road", "haze road"], " "),
        (["golden retriever", "flat-coated retriever", "pug"], None),
        (["tench, Tinca tinca", "goldfish, Carassius auratus", "shark", "crane, bird", "crane, machine", "cock, x"], None),
        (["Doe, Jane", "cat", "dog"], None),
        (["cat,dog", "cat", "dog"], None),  # one only
        (["a,", "b,"], None),
        (["cat", "dog"], None),
    ],
)
def test_classes_that_look_joined_are_told(beside, names, joint):
    passed = Passed()
    text = "path,label\n" + "".join(f'p/{i}.png,"{name}"\n' for i, name in enumerate(names))
    assert len(beside(text, [f"p/{i}.png" for i in range(len(names))], passed=passed).train.classes) == len(names)
    text = f"classes that look like several labels joined by {joint!r} (if so, add --label-separator {joint!r})"
    assert (passed.remarks.get("joined-labels") or [None])[0] == (text if joint else None)
    assert not joint or joint in passed.text()


def test_options_are_for_kinds_of_data(tmp_path):
    write(tmp_path, {"f/a/1.png": 1, "f/b/1.png": 2, "l.txt": "f/a/1.png 0\nf/b/1.png 1\n"})
    for name, options, word in [
        ("f", {"columns": "path=a"}, "leave out --columns, which is for tables with a header"),
        ("f", {"label_separator": ","}, "leave out --label-separator, which is for tables and shards"),
        ("l.txt", {"label_separator": ","}, "leave out --label-separator"),
        ("l.txt", {"labels_from_names": "auto"}, "leave out --labels-from-names, which is for folders and zip archives"),
    ]:
        refused_by(lambda name=name, options=options: open_dataset(tmp_path / name, **options), word)
        open_dataset(tmp_path / name, **{option: DEFAULTS[option] for option in options})


def test_a_refused_folder_names_the_tables_in_it(tmp_path):
    files = {"labels.csv": "", "train_list.txt": "", "notes.txt": "", "train/a.png": 1, "test/b.png": 2}
    refused_by(
        lambda: open_dataset(write(tmp_path, files)),
        "to take the labels from labels.csv or train_list.txt in it, name that file",
    )
