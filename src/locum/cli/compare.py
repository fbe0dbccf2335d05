"""`locum compare RUN RUN`: two runs on the rows that both were asked."""

from pathlib import Path
from typing import Annotated

import typer

from locum.cli.output import Debug, Json, Output, Quiet


def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    second: Annotated[Path, typer.Argument(metavar="RUN", help="Another.")],
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Two runs side by side on identical rows, with paired intervals."""
    with Output(json=json, quiet=quiet, debug=debug) as voice:
        import msgspec

        from locum.evaluation.compare import compare as measure

        found = measure(first, second)
        voice.say(f"{found.first} and {found.second} on {found.rows} rows of {found.sessions} sessions", style="bold")
        if found.only_first or found.only_second:
            voice.say(
                f"  left out: {found.only_first} rows that only the first was asked, {found.only_second} the second"
            )
        voice.say(f"  {'family':<16} {'measure':<10} {'first':>7} {'second':>7}  difference [95 %]")
        for pair in found.pairs:
            d = pair.difference
            voice.say(
                f"  {pair.family:<16} {pair.measure:<10} {pair.first.estimate:>7.3f} {pair.second.estimate:>7.3f}"
                f"  {d.estimate:+.3f} [{d.low:+.3f}, {d.high:+.3f}], {d.rows} rows of {d.sessions} sessions"
            )
        voice.say("  loss: nats per token of each row, a mean over rows; `locum evaluate` takes the mean over tokens")
        for note in found.notes:
            voice.say(f"  note: {note}")
        voice.result(msgspec.to_builtins(found))
