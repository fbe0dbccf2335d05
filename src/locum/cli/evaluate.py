"""`locum evaluate RUN`: agent, base and tuned on held-out rows, with the deployed model file."""

from pathlib import Path
from typing import Annotated

import typer

from locum.cli import options as o
from locum.cli.output import Debug, Json, Output, Quiet
from locum.locks import writing


def evaluate(
    run: o.RunFolder,
    eval_rows: o.EvalRows = o.DEFAULT_EVAL_ROWS,
    loss_rows: o.LossRows = o.DEFAULT_LOSS_ROWS,
    settings: o.Settings = None,
    rescore: Annotated[
        bool, typer.Option("--rescore", help="Judge and count again what is there; no model is loaded.")
    ] = False,
    agent: Annotated[
        bool,
        typer.Option("--agent", help="Ask the agent itself again, as locum.toml says who it is: costs what it costs."),
    ] = False,
    repeat: Annotated[
        int, typer.Option("--repeat", min=1, metavar="K", help="Draw the model's decisions K times: pass^1 to pass^K.")
    ] = 1,
    at_once: o.AtOnce = 1,
    inspect: Annotated[
        Path | None, typer.Option("--inspect", metavar="FILE.json", help="Write it as a log of Inspect, too.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Sounding right and being right, each with its interval."""
    if rescore and repeat > 1:
        raise typer.BadParameter("--rescore loads no model: nothing can be drawn; leave one out", param_hint="--repeat")
    if rescore and at_once > 1:
        raise typer.BadParameter("--rescore loads no model: nothing is answered; leave one out", param_hint="--at-once")
    with Output(json=json, quiet=quiet, debug=debug) as voice, writing(run):
        from locum.cli import show_evaluation, stages

        # Whom to ask, and whether the key is there, is known before anything that takes minutes.
        provider = stages.agent_of(settings) if agent else None
        if rescore:
            results = stages.rescore(run)
        else:
            from locum.evaluation.evaluate import EvaluateOptions

            stages.model_file_of(run)
            options = EvaluateOptions(rows=eval_rows, loss_rows=loss_rows, repeat=repeat, at_once=at_once)
            results = stages.evaluate(
                run, stages.model_name_of(run), stages.base_of(run), options, voice.progress, settings
            )
        if provider is not None:
            results = stages.ask_agent(run, provider, voice.say, voice.progress)
        show_evaluation.evaluation(voice, results)
        show_evaluation.pointer(voice, run)
        if inspect is not None:
            from locum.evaluation.inspect_log import export_inspect

            export_inspect(run, inspect)
            voice.say(f"log for Inspect {inspect}")
        voice.result({"run": str(run), **results})
