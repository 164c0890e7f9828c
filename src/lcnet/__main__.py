"""`python -m lcnet` does what `lcnet` does."""

from .cli import main

main(prog_name="lcnet")
