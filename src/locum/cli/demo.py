"""`locum demo`: the whole of it on generated sessions, for whoever has no logs at hand."""

from pathlib import Path
from typing import Annotated

import typer

from locum.cli import options as o
from locum.cli.output import Debug, Json, Output, Quiet

NAME = "locum-demo"


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for sessions and run.")] = Path("runs") / NAME,
    sessions: Annotated[int, typer.Option("--sessions", min=1, help="How many sessions to generate.")] = 30,
    seed: o.Seed = 0,
    max_steps: o.MaxSteps = None,
    deploy: o.DeployTo = "auto",
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Generate sessions of a scripted agent, whose every decision has a known rule, and distil them."""
    o.check_choices(o.DEFAULT_QUANT, deploy)
    with Output(json=json, quiet=quiet, debug=debug) as voice:
        from locum import files
        from locum.cli.run import carry_out
        from locum.cli.run_folder import Request
        from locum.sessions.scripted import write_sessions

        # Other sessions are another place, and so another request.
        logs = out.parent / f"{out.name}-sessions" / f"{sessions}-of-seed-{seed}"
        voice.say(f"a scripted agent works through {sessions} sessions: {logs}", style="bold")
        with files.atomic_path(logs) as partial:
            truth = write_sessions(partial / "projects", sessions, seed)
            files.write_json(partial / "truth.json", truth)
        request = Request(
            sources=(str((logs / "projects").absolute()),),
            name=NAME,
            base=o.DEFAULT_BASE,
            quant=o.DEFAULT_QUANT,
            deploy=deploy,
            max_steps=max_steps,
            epochs=o.DEFAULT_EPOCHS,
            learning_rate=o.DEFAULT_LEARNING_RATE,
            patience=o.DEFAULT_PATIENCE,
            layers=o.DEFAULT_LAYERS,
            context_chars=o.DEFAULT_CONTEXT,
            context="keep",
            settings=None,
            eval_rows=o.DEFAULT_EVAL_ROWS,
            loss_rows=o.DEFAULT_LOSS_ROWS,
            seed=seed,
            skip_bad=False,
            # The name is the demo's own, so a finished demo makes way for the next one; an unfinished one goes on.
            force=True,
        )
        summary = carry_out(request, out, voice)
        voice.say(
            "yours   locum run auto --name NAME     (the agents' logs here; it stops where terms ask for your word)"
        )
        voice.result(summary)
