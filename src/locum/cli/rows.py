"""`locum rows DIR`: look at rows, at what was dropped and why, and at what the loss covers."""

from typing import Annotated, Any

import typer

from locum.cli import options as o
from locum.cli.output import Debug, Json, Output, Quiet


def rows(
    dataset: o.DatasetFolder,
    drops: Annotated[bool, typer.Option("--drops", help="Show the turns that did not become rows, by reason.")] = False,
    mask: Annotated[bool, typer.Option("--mask", help="Mark the text that the loss covers with «».")] = False,
    family: Annotated[str | None, typer.Option("--family", help="Only rows of this family.")] = None,
    split: Annotated[str, typer.Option("--split", help="train, valid or test.")] = "train",
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many to show.")] = 5,
    base: o.BaseName = o.DEFAULT_BASE,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Look at the rows of a dataset."""
    if split not in ("train", "valid", "test"):
        raise typer.BadParameter(f"{split!r} is none of train, valid, test", param_hint="--split")
    with Output(json=json, quiet=quiet, debug=debug) as voice:
        import msgspec

        from locum.cli.stages import require_dataset

        folder = require_dataset(dataset)
        shown: list[Any] = (
            _drops(voice, folder, limit) if drops else _rows(voice, folder, family, split, limit, mask, base)
        )
        voice.result({"shown": len(shown), "drops" if drops else "rows": msgspec.to_builtins(shown)})


def _drops(voice: Output, folder: Any, limit: int) -> list[Any]:
    from locum.dataset.legibility import REASONS
    from locum.dataset.store import read_drops

    by_reason: dict[str, list[Any]] = {}
    for drop in read_drops(folder):
        by_reason.setdefault(drop.reason, []).append(drop)
    shown: list[Any] = []
    for reason, found in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        voice.say(f"{reason}: {len(found):,}. {REASONS[reason]}", style="bold")
        for drop in found[:limit]:
            voice.say(f"  {drop.session} turn {drop.turn}: {drop.excerpt}")
        shown += found[:limit]
    return shown


def _rows(voice: Output, folder: Any, family: str | None, split: Any, limit: int, mask: bool, base: str) -> list[Any]:
    from locum.dataset.store import read_rows

    found = [row for row in read_rows(folder, split) if family is None or row.family == family][:limit]
    if not mask:
        for row in found:
            _heading(voice, row)
            for message in row.messages:
                calls = "".join(f"\n    calls {call.name} {call.arguments}" for call in message.tool_calls)
                voice.say(f"  {message.role}: {message.content}{calls}")
        return found
    from locum.training.base import resolve_base
    from locum.training.chat_template import Renderer

    renderer = Renderer(resolve_base(base, voice.progress).folder)
    for row in found:
        encoded = renderer.encode(row)
        decode = renderer.tokenizer.decode
        before, covered = encoded.tokens[: encoded.response_start], encoded.tokens[encoded.response_start :]
        _heading(voice, row)
        voice.say(f"{decode(before)}«{decode(covered)}»")
        voice.say(f"  the loss covers {len(covered)} of {len(encoded.tokens)} tokens")
    return found


def _heading(voice: Output, row: Any) -> None:
    voice.say(f"{row.id[:12]}  {row.family}  {row.tier}  session {row.session} turn {row.turn}", style="bold")
