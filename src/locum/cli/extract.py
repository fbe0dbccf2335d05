"""`locum extract SOURCE... --out DIR`: session logs to a dataset, every line and every turn accounted for."""

from pathlib import Path
from typing import Annotated

import typer

from locum.cli import options as o
from locum.cli.output import Debug, Json, Output, Quiet
from locum.locks import writing


def extract(
    sources: o.Sources,
    out: Annotated[Path, typer.Option("--out", help="The dataset folder to write.")],
    context_chars: o.ContextChars = o.DEFAULT_CONTEXT,
    context: o.Context = "keep",
    settings: o.Settings = None,
    allow_terms: o.AllowTerms = None,
    score: Annotated[
        bool, typer.Option("--score", help="Measure how much each row's own prompt helps its response, under --base.")
    ] = False,
    score_rows: Annotated[
        int | None, typer.Option("--score-rows", min=2, help="How many rows to score at most (200).")
    ] = None,
    base: Annotated[str | None, typer.Option("--base", help="Under which base to score (smollm2:135m).")] = None,
    ray: Annotated[
        str | None, typer.Option("--ray", metavar="ADDRESS", help="Read the logs on this Ray cluster.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Sessions to a dataset: rows, drops with reasons, secrets redacted, split forward in time."""
    o.check_context(context)
    if not score and (base is not None or score_rows is not None):
        raise typer.BadParameter("--base and --score-rows say how to score: add --score", param_hint="--score")
    with Output(json=json, quiet=quiet, debug=debug) as voice, writing(out):
        from locum.cli import score as scoring
        from locum.cli import show, stages

        extracted = stages.extract(
            sources,
            out,
            voice.progress,
            context_chars=context_chars,
            context=context,
            settings=settings,
            allow_terms=allow_terms or (),
            ray=ray,
        )
        show.funnel(voice, extracted)
        scores = {}
        if score:
            scores = {
                "score": scoring.score(out, base or o.DEFAULT_BASE, score_rows or scoring.DEFAULT_ROWS, voice.progress)
            }
            scoring.show(voice, scores["score"])
        voice.say(f"dataset {out}")
        voice.say(f"look    locum rows {out}; what it could show and what training costs: locum plan {out}")
        unread = {key: extracted[key] for key in ("skipped_files", "skipped")}
        voice.result({"dataset": str(out), **extracted["stats"], **unread, **scores})
