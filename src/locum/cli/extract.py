"""`locum extract SOURCE... --out DIR`: session logs to a dataset, every line and every turn accounted for."""

from pathlib import Path
from typing import Annotated

import typer

from locum.cli import options as o
from locum.cli.output import Debug, Json, Output, Quiet


def extract(
    sources: o.Sources,
    out: Annotated[Path, typer.Option("--out", help="The dataset folder to write.")],
    context_chars: o.ContextChars = o.DEFAULT_CONTEXT,
    context: Annotated[
        str, typer.Option("--context", help="Standing documents: keep them in the prompts, or absorb them by training.")
    ] = "keep",
    settings: Annotated[
        Path | None, typer.Option("--settings", help="Instead of locum.toml in the working directory.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Sessions to a dataset: rows, drops with reasons, secrets redacted, split forward in time."""
    if context not in ("keep", "absorb"):
        raise typer.BadParameter(f"{context!r} is neither keep nor absorb", param_hint="--context")
    with Output(json=json, quiet=quiet, debug=debug) as voice:
        from locum.cli import show, stages

        extracted = stages.extract(
            sources,
            out,
            context_chars,
            voice.progress,
            context="absorb" if context == "absorb" else "keep",
            settings=settings,
        )
        show.funnel(voice, extracted)
        voice.say(f"dataset {out}")
        unread = {key: extracted[key] for key in ("skipped_files", "skipped")}
        voice.result({"dataset": str(out), **extracted["stats"], **unread})
