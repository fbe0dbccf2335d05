"""The command line's front door: `locum VERB ...`.

Verb modules import nothing heavy at the top, so that `locum --help` answers at once.
"""

import io
import os
import sys
import warnings

import typer

from locum.cli import (
    anatomy,
    chat,
    compare,
    demo,
    deploy,
    evaluate,
    export,
    extract,
    forget,
    gate,
    plan,
    report,
    rows,
    run,
    scaling,
    train,
)

app = typer.Typer(
    name="locum",
    help="Distil an AI agent's own sessions into a small local model, and find out what it may be trusted with.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
VERBS = (
    demo, run, extract, rows, forget, plan, train, export, deploy, evaluate, anatomy, scaling, gate, report, compare,
    chat,
)  # fmt: skip
for verb in VERBS:
    app.command()(getattr(verb, verb.__name__.rpartition(".")[2]))


@app.callback(invoke_without_command=True)
def version(
    show: bool = typer.Option(False, "--version", help="Print the version and leave.", is_eager=True),
) -> None:
    """Distil an AI agent's own sessions into a small local model, and find out what it may be trusted with."""
    if show:
        from locum import __version__

        print(f"locum {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point of the `locum` command."""
    # Libraries speak to their own developers here; what a user must know, Locum says itself.
    warnings.simplefilter("ignore")
    # Logs, file names and models hold any character; a terminal that lacks one must not end the work.
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))  # noqa: SIM115
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace" if stream is sys.stdin else "backslashreplace")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if "OMP_WAIT_POLICY" not in os.environ:
        # Threads that wait for one another keep their processors busy by default, a hundred times longer than this;
        # where another program needs one of the processors, that starves the very thread that they wait for.
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    try:
        app(prog_name="locum")
    except BrokenPipeError:
        # Whoever read us has gone; Python would complain once more while closing stdout.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        sys.exit(1)


if __name__ == "__main__":
    main()
