"""`locum gate RUN`: may it be handed over? Exit code 0: it may go on; 10: insufficient; 20: reject; 30: changed."""

from typing import Annotated

import typer

from locum.cli import options as o
from locum.cli.output import Debug, Json, Output, Quiet

EXIT = {"SHADOW": 0, "INSUFFICIENT": 10, "REJECT": 20}


def gate(
    run: o.RunFolder,
    family: Annotated[str | None, typer.Option("--family", help="Judge this family alone.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """The verdict on each family; the exit code is the worst of them."""
    with Output(json=json, quiet=quiet, debug=debug) as voice:
        from locum.cli import show, stages
        from locum.errors import RunError

        found = stages.gate(run)
        if family is not None and family not in found:
            raise RunError(f"no family {family!r} in this run; there is: {', '.join(found)}")
        chosen = {name: verdict for name, verdict in found.items() if family in (None, name)}
        show.verdicts(voice, chosen)
        voice.result({"run": str(run), "verdicts": chosen})
        code = max(EXIT[verdict["verdict"]] for verdict in chosen.values())
        if code:
            raise typer.Exit(code)
