"""`locum scaling DATASET`: how the held-out loss falls with rows, and what more of them would bring."""

from pathlib import Path
from typing import Annotated

import typer

from locum.cli import options as o
from locum.cli.output import Debug, Json, Output, Quiet


def scaling(
    dataset: o.DatasetFolder,
    out: Annotated[
        Path | None, typer.Option("--out", help="The file to write (RUN/scaling.json of a run, else scaling.json).")
    ] = None,
    base: o.BaseName = o.DEFAULT_BASE,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Trainings of each size.")] = 3,
    max_steps: o.MaxSteps = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Held-out rows that each is scored on, at most.")] = 64,
    ask: Annotated[
        int | None, typer.Option("--ask", min=1, help="Rows to look ahead to (twice those there are).")
    ] = None,
    target: Annotated[float | None, typer.Option("--target", help="A loss whose rows are asked for, in nats.")] = None,
    larger: Annotated[
        str | None,
        typer.Option("--larger", metavar="BASE", help="A larger base to train on all the rows, too: the other lever."),
    ] = None,
    ray: Annotated[
        str | None, typer.Option("--ray", metavar="ADDRESS", help="Do the trainings on this Ray cluster.")
    ] = None,
    settings: o.Settings = None,
    force: o.Force = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """How many rows it would take, or why nobody can say."""
    with Output(json=json, quiet=quiet, debug=debug) as voice:
        import msgspec

        from locum import files
        from locum.cli import show_anatomy, stages
        from locum.errors import NameTakenError
        from locum.evaluation.scaling.climb import ScalingOptions, climb
        from locum.parallel import Each, here
        from locum.report.scaling import lever, next_batch
        from locum.settings import load_settings
        from locum.training.backend import TrainOptions

        folder = stages.require_dataset(dataset)
        # A run's own ladder stands where its report and its anatomy look for it.
        out = out or (Path("scaling.json") if folder == dataset else dataset / "scaling.json")
        if out.exists() and not force:
            raise NameTakenError(f"{str(out)!r} exists already; give another --out or pass --force")
        lexicons = load_settings(settings).lexicons
        each: Each = here
        if ray is not None:
            from locum.ray_data import RayData
            from locum.training.ray_train import version

            each = RayData(ray, version)
        options = ScalingOptions(
            seeds=seeds,
            held_out=rows,
            asked=ask,
            target=target,
            larger=larger and o.settled(larger),
            training=TrainOptions(max_steps=max_steps),
        )
        ladder = climb(folder, o.settled(base), options, each, voice.progress, lexicons)
        files.write_json(out, ladder)
        found = msgspec.to_builtins(ladder)
        show_anatomy.scaling(voice, found)
        voice.say(next_batch(ladder), style="bold")
        if other := lever(ladder):
            voice.say(other)
        voice.result({"scaling": str(out), **found})
