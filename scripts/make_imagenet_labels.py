"""Write src/lcnet/labels/imagenet1k.tsv (WordNet id, names; logit order) from the tables inside an installed timm."""

from importlib.metadata import files
from pathlib import Path

OUT = Path(__file__).parents[1] / "src/lcnet/labels/imagenet1k.tsv"


def main() -> None:
    # The tables are read as files: importing timm would import torch and torchvision.
    table = {Path(str(f)).name: f for f in files("timm") or () if "data/_info" in str(f)}
    ids = Path(str(table["imagenet_synsets.txt"].locate())).read_text().split()
    lemmas = Path(str(table["imagenet_synset_to_lemma.txt"].locate())).read_text().splitlines()
    names = dict(line.split("\t", 1) for line in lemmas)
    OUT.write_text("".join(f"{i}\t{names[i]}\n" for i in ids))


if __name__ == "__main__":
    main()
