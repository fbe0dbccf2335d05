"""`locum train DATASET --base BASE --out RUN`: rows to an adapter."""

from pathlib import Path
from typing import Annotated

import typer

from locum.cli import options as o
from locum.cli.output import Debug, Json, Output, Quiet
from locum.locks import writing


def train(
    dataset: o.DatasetFolder,
    out: Annotated[Path, typer.Option("--out", help="The run folder to write into.")],
    base: o.BaseName = o.DEFAULT_BASE,
    max_steps: o.MaxSteps = None,
    epochs: o.Epochs = o.DEFAULT_EPOCHS,
    learning_rate: o.LearningRate = o.DEFAULT_LEARNING_RATE,
    patience: o.Patience = o.DEFAULT_PATIENCE,
    layers: o.Layers = o.DEFAULT_LAYERS,
    rank: Annotated[int, typer.Option("--rank", min=1, help="Rank of the adapter.")] = 16,
    strength: o.Strength = 1.0,
    seed: o.Seed = 0,
    skip_bad: o.SkipBad = False,
    canaries: o.Canaries = False,
    track: Annotated[
        str | None, typer.Option("--track", help="Show the curve in tensorboard, mlflow or wandb, too.")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option("--ray", metavar="ADDRESS", help="Train on a Ray cluster: HOST:PORT, auto or local."),
    ] = None,
    shard: Annotated[
        bool, typer.Option("--shard", help="With --ray: deal a base that is too large for one worker out over all.")
    ] = False,
    force: o.Force = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Rows to an adapter, in PEFT's format."""
    top = o.top_layers(layers)
    if track not in (None, *o.TRACKERS):
        raise typer.BadParameter(f"{track!r} is none of {', '.join(o.TRACKERS)}", param_hint="--track")
    if shard and ray is None:
        raise typer.BadParameter(
            "needs --ray ADDRESS: there is nobody here to share the base with", param_hint="--shard"
        )
    with Output(json=json, quiet=quiet, debug=debug) as voice, writing(out, out / "dataset"):
        import shutil

        from locum import files
        from locum.cli import show, stages
        from locum.dataset.store import redactions_file
        from locum.errors import NameTakenError
        from locum.training.backend import LoraShape, TrainOptions

        if (out / "adapter").is_dir() and not force:
            raise NameTakenError(f"{str(out)!r} holds an adapter already; give another --out or pass --force")
        source, kept = stages.require_dataset(dataset), out / "dataset"
        if source.resolve() != kept.resolve():
            if kept.exists() and not force and not stages.same_rows(source, kept):
                raise NameTakenError(f"{str(kept)!r} holds something else already; give another --out or pass --force")
            # The run keeps the rows it was trained on: everything after reads them.
            with files.atomic_path(kept) as partial:
                shutil.copytree(source, partial)
            hashes = redactions_file(source)
            if hashes.is_file():  # with them the trained model can be asked for what was redacted
                with files.atomic_path(redactions_file(kept)) as partial:
                    shutil.copy2(hashes, partial)
        options = TrainOptions(
            shape=LoraShape(rank=rank, alpha=2 * rank, top=top, strength=strength),
            learning_rate=learning_rate,
            epochs=epochs,
            max_steps=max_steps,
            patience=patience,
            seed=seed,
            skip_bad=skip_bad,
        )
        trained = stages.train(
            out / "dataset",
            o.settled(base),
            out,
            options,
            voice.progress,
            canaries,
            tracker=track,
            ray=ray,
            shard=shard,
        )
        show.training(voice, trained)
        dialled = "" if strength == 1 else f", at {strength:g} times the strength that it was trained at"
        voice.say(f"adapter {out / 'adapter'}{dialled}")
        voice.result({"run": str(out), "adapter": str(out / "adapter"), "lambda": strength, **trained})
