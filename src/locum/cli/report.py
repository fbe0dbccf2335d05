"""`locum report RUN`: everything that a run holds, as a page and as Markdown."""

from typing import Annotated

import typer

from locum.cli import options as o
from locum.cli.output import Debug, Json, Output, Quiet


def report(
    run: o.RunFolder,
    show: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
    settings: o.Settings = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write RUN/report.html and RUN/report.md anew, from what the run holds now."""
    with Output(json=json, quiet=quiet, debug=debug) as voice:
        import webbrowser
        from pathlib import Path

        from locum.cli import stages

        page = Path(stages.report(run, settings=settings))
        voice.say(f"report {page}")
        if show and not webbrowser.open(page.resolve().as_uri()):
            voice.say("  no browser could be started here; open the file yourself")
        voice.result({"run": str(run), "report": str(page), "markdown": str(page.with_suffix(".md"))})
