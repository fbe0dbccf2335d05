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
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Sessions to a dataset: rows, drops with reasons, secrets redacted, split forward in time."""
    with Output(json=json, quiet=quiet, debug=debug) as voice:
        from locum.cli import show, stages

        extracted = stages.extract(sources, out, context_chars, voice.progress)
        show.funnel(voice, extracted)
        voice.say(f"dataset {out}")
        unread = {key: extracted[key] for key in ("skipped_files", "skipped")}
        voice.result({"dataset": str(out), **extracted["stats"], **unread})
