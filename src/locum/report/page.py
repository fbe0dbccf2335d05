"""RUN -> RUN/report.html and RUN/report.md: one page that needs nothing but itself, and runs nothing.

The page holds text out of session logs, which nobody may be trusted to have written kindly: everything is
escaped by the template engine, and a content security policy forbids scripts and requests even if something
slipped through.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from locum import __version__
from locum.files import write_text
from locum.report import charts, figures
from locum.report.inputs import read_run
from locum.report.markdown import markdown
from locum.report.quantization import HEADS
from locum.report.view import Page, page
from locum.settings import Price


def write_report(
    run: Path, manifest: Mapping[str, Any] | None = None, prices: Mapping[str, Price] | None = None
) -> Path:
    """Write `run`/report.html and report.md from what the run directory holds, and return the page's path.

    Whatever is missing or unreadable is named on the page in its place.

    Args:
        run: the run directory.
        manifest: what manifest.json will hold, where the run is being finished: that file is written last of all.
        prices: of the agent's models, by glob.

    Raises:
        RunError: `run` is no folder, or holds none of the files of a run.
    """
    view = page(read_run(run, manifest), prices)
    write_text(run / "report.md", markdown(view))
    path = run / "report.html"
    write_text(path, render(view))
    return path


def render(view: Page) -> str:
    """The page as HTML."""
    return _environment().get_template("report.html.j2").render(page=view, style=_style(), version=__version__)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("locum.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(charts=charts, count=figures.count, quantization_heads=HEADS)
    environment.filters["breakable"] = breakable
    return environment


def breakable(text: str) -> Markup:
    """`text` escaped, with places to break a line after commas and slashes: JSON and paths have no spaces."""
    return Markup(re.sub(r"([,/])(?=\S)", r"\1<wbr>", str(escape(text))))


@cache
def _style() -> Markup:
    """Our own style sheet: the only text that goes into the page unescaped, besides the charts' tags."""
    return Markup(files("locum.report").joinpath("templates/report.css").read_text("utf-8"))
