"""`lcnet embed`."""

from __future__ import annotations

from pathlib import Path

import click

from .options import Inputs, load_model, model_options, output_options, refuse_existing, write_npz


@click.command()
@model_options
@output_options("embeddings.npz")
@click.pass_context
def embed(
    ctx: click.Context, images: tuple[Path, ...], model: str, threads: int | None, isa: str | None, output: Path,
    overwrite: bool,
) -> None:  # fmt: skip
    """Write the embeddings of images: an .npz file with `paths` [N] and `embeddings` float32 [N,1280]."""
    import numpy as np

    refuse_existing(output, overwrite)
    inputs = Inputs(load_model(model, threads, isa), images)
    rows = [(str(path), inputs.model.embeddings(x)) for path, x in inputs]
    embeddings = np.concatenate([e for _, e in rows]) if rows else np.empty((0, 1280), np.float32)
    write_npz(output, paths=np.array([path for path, _ in rows], dtype=str), embeddings=embeddings)
    click.echo(f"{output}: {len(rows)} embeddings of {embeddings.shape[1]} values")
    inputs.finish(ctx)
