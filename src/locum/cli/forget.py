"""`locum forget SESSION`: take a session out of every dataset, and say what still holds it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from locum.cli.output import Debug, Json, Output, Quiet
from locum.locks import writing


def forget(
    session: Annotated[
        str, typer.Argument(metavar="SESSION", help="The session's id, as `locum rows` shows it or as its log has it.")
    ],
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="[FOLDER]...", help="Datasets and runs; no other is changed.")
    ] = None,
    below: Annotated[
        list[Path] | None,
        typer.Option("--in", metavar="DIR", help="Look for datasets and runs below it (default: here)."),
    ] = None,
    lineage: Annotated[
        bool, typer.Option("--lineage", help="All copies, forks, sub-agents and trials of it too.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Take a session out of datasets; list the runs, models and names that were made with it."""
    with Output(json=json, quiet=quiet, debug=debug) as voice:
        import msgspec

        done = carry_out(session, folders or [], below or [], lineage)
        show(voice, done)
        voice.result(msgspec.to_builtins(done))


def carry_out(session: str, folders: list[Path], below: list[Path], lineage: bool) -> dict[str, Any]:
    """Forget a session.

    Returns:
        `session`, `datasets` (`locum.dataset.forget.Forgotten`), `already` (datasets out of which it was taken
        before), `left` (datasets of stored models' runs that hold it and were not among the folders), `holders`
        (`locum.cli.holders.Holder`), `unclear` (stored models whose run is gone), `readings_removed` and
        `replies_removed` (how many).

    Raises:
        DatasetError: a folder is neither dataset nor run, a dataset cannot be read, or none holds or held the session.
        RunError: another process writes into one of the datasets; nothing is forgotten in any.
    """
    from locum.cli import holders
    from locum.cli.stages import now
    from locum.dataset.cache import forget_readings
    from locum.dataset.forget import forget, holds, kin_of, records
    from locum.errors import DatasetError
    from locum.evaluation.agent.replies import forget_replies

    found = holders.find(folders, below or ([] if folders else [Path()]))
    for folder in folders:
        if folder.resolve() not in (*found.datasets, *found.runs):
            raise DatasetError(f"{str(folder)!r} is neither a dataset nor a run; give folders that Locum wrote")
    kin = kin_of(found.datasets, session, lineage=lineage)
    # Everything is read before anything is written: what cannot be read stops the work while nothing is done.
    tainted = holders.tainted(found.datasets, kin)
    holding = holders.holders(found.runs, kin, tainted)
    already = [str(dataset) for dataset in found.datasets if records(dataset, kin)]
    # Stored models' runs are looked through in any case; where folders are named, only these are changed.
    named = {place for folder in folders for place in (folder.resolve(), folder.resolve() / "dataset")}
    tops = [top.resolve() for top in below]
    meant = [d for d in found.datasets if not folders or d in named or any(d.is_relative_to(top) for top in tops)]
    left = [str(dataset) for dataset in found.datasets if dataset not in meant and holds(dataset, kin)]
    with writing(*meant):
        gone = [done for dataset in meant if (done := forget(dataset, kin, now()))]
    if not gone and not already:
        raise DatasetError(
            f"none of {len(found.datasets)} datasets holds or held a session {session!r}: `locum rows DIR` shows the "
            "sessions' ids; --in DIR looks elsewhere"
        )
    forget_readings()
    return {
        "session": session,
        "datasets": gone,
        "already": already,
        "left": left,
        "holders": holding,
        "unclear": holders.unclear(found.runs),
        "readings_removed": True,
        "replies_removed": forget_replies(kin.sessions),
    }


def show(voice: Output, done: dict[str, Any]) -> None:
    """What went and what is left, for a person."""
    for gone in done["datasets"]:
        sessions = "1 session" if gone.sessions == 1 else f"{gone.sessions:,} sessions"
        voice.say(f"forgot {sessions} in {gone.dataset}: {gone.rows:,} rows, {gone.drops:,} drops", style="bold")
        if gone.kin_left:
            voice.say(f"  {gone.kin_left:,} more of the same lineage are left there: --lineage takes them too")
        for source in gone.sources:
            voice.say(f"  its log is not touched: {source}")
    for dataset in done["already"]:
        voice.say(f"forgotten before in {dataset}")
    for dataset in done["left"]:
        voice.say(f"its rows are still in {dataset}, which was not named: name it, or leave the folders out")
    if not done["holders"]:
        voice.say("nothing that was trained on it was found")
    for holder in done["holders"]:
        voice.say(f"still held by {holder.run}", style="bold")
        for what in (*filter(None, (holder.adapter,)), *holder.model_files, *holder.derived):
            voice.say(f"    {what}")
        voice.say(f"  remove it: {holder.remove}")
        for name in holder.deployed:
            voice.say(f"  deployed in {name.engine} as {name.name}; remove it: {name.remove}")
    for name in done["unclear"]:
        voice.say(f"cannot say whether {name.name} holds it, its run is gone; remove it: {name.remove}")
