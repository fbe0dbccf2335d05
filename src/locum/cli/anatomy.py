"""`locum anatomy RUN`: where the loss fell easily and where it did not."""

from pathlib import Path
from typing import Annotated

import typer

from locum.cli import options as o
from locum.cli.output import Debug, Json, Output, Quiet
from locum.locks import writing


def anatomy(
    run: o.RunFolder,
    rows: Annotated[
        int, typer.Option("--rows", min=1, help="Held-out rows to look at, at most; of all folds together.")
    ] = 64,
    train_rows: Annotated[int, typer.Option("--train-rows", min=1, help="Training rows beside them.")] = 24,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds",
            min=2,
            metavar="K",
            help="Cross-fit: train K adapters anew, each on the other folds' sessions, and hold every row out once.",
        ),
    ] = None,
    scaling: Annotated[
        Path | None,
        typer.Option("--scaling", metavar="FILE", help="What `locum scaling` wrote of these rows (RUN/scaling.json)."),
    ] = None,
    settings: o.Settings = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Valleys and plateaus: how each class of tokens responded to training."""
    with Output(json=json, quiet=quiet, debug=debug) as voice, writing(run):
        import msgspec

        from locum.cli import show_anatomy, stages
        from locum.evaluation.anatomy.measure import AnatomyOptions, measure
        from locum.evaluation.scaling.results import read_scaling
        from locum.settings import load_settings

        own = run / "scaling.json"
        scaling = scaling or (own if own.is_file() else None)
        ladder = None if scaling is None else read_scaling(scaling, run / "dataset")
        lexicons = load_settings(settings).lexicons
        if folds:
            _require(run / "dataset", folds)
        base, renderer = stages.prepared(stages.base_of(run), voice.progress)
        options = AnatomyOptions(rows=rows, train_rows=train_rows, folds=folds or 0)
        found = msgspec.to_builtins(measure(run, base, renderer, options, voice.progress, lexicons, ladder))
        show_anatomy.anatomy(voice, found)
        voice.result({"run": str(run), **found})


def _require(dataset: Path, folds: int) -> None:
    """Refuse more folds than there can be before anything is fetched or trained."""
    from locum.dataset.split import SPLITS
    from locum.dataset.store import read_rows
    from locum.evaluation.anatomy.folds import kin, too_many

    there = len(set(kin([row for split in SPLITS for row in read_rows(dataset, split)]).values()))
    if there < folds:
        raise typer.BadParameter(too_many(folds, there), param_hint="--folds")
