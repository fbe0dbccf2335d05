"""`locum evaluate RUN`: agent, base and tuned on held-out rows, with the deployed model file."""

from pathlib import Path
from typing import Annotated

import typer

from locum.cli import options as o
from locum.cli.output import Debug, Json, Output, Quiet


def evaluate(
    run: o.RunFolder,
    eval_rows: o.EvalRows = o.DEFAULT_EVAL_ROWS,
    settings: o.Settings = None,
    rescore: Annotated[
        bool, typer.Option("--rescore", help="Judge and count again what is there; no model is loaded.")
    ] = False,
    inspect: Annotated[
        Path | None, typer.Option("--inspect", metavar="FILE.json", help="Write it as a log of Inspect, too.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Sounding right and being right, each with its interval."""
    with Output(json=json, quiet=quiet, debug=debug) as voice:
        from locum.cli import show, stages

        if rescore:
            results = stages.rescore(run)
        else:
            stages.model_file_of(run)
            results = stages.evaluate(
                run, stages.model_name_of(run), stages.base_of(run), eval_rows, voice.progress, settings
            )
        show.evaluation(voice, results)
        if inspect is not None:
            from locum.evaluation.inspect_log import export_inspect

            export_inspect(run, inspect)
            voice.say(f"log for Inspect {inspect}")
        voice.result({"run": str(run), **results})
