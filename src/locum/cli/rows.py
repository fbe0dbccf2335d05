"""`locum rows DIR`: look at rows, at what was dropped and why, and at what the loss covers."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locum.cli import options as o
from locum.cli.output import Debug, Json, Output, Quiet

if TYPE_CHECKING:
    from locum.dataset.stats import Stats
    from locum.types import Drop, Message, Row

PROMPT_SHOWN = 600
"""Characters that are shown of one message of a prompt; the response is what a row is looked at for."""
_SPLITS = ("train", "valid", "test")


def rows(
    dataset: o.DatasetFolder,
    drops: Annotated[bool, typer.Option("--drops", help="Show the turns that did not become rows, by reason.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Only turns dropped for this reason.")] = None,
    mask: Annotated[bool, typer.Option("--mask", help="Mark the text that the loss covers with «».")] = False,
    family: Annotated[str | None, typer.Option("--family", help="Only rows of this family.")] = None,
    id_: Annotated[str | None, typer.Option("--id", help="Only the row whose id begins so, of any split.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="train (the usual), valid, test or all.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many to show.")] = 5,
    base: o.BaseName = o.DEFAULT_BASE,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Look at the rows of a dataset."""
    if split not in (None, *_SPLITS, "all"):
        raise typer.BadParameter(f"{split!r} is none of {', '.join(_SPLITS)}, all", param_hint="--split")
    drops = drops or reason is not None
    if drops and (mask or not family is id_ is split is None):
        raise typer.BadParameter(
            "--mask, --family, --id and --split are about rows, and a drop is none", param_hint="--drops"
        )
    split = split or "train"
    with Output(json=json, quiet=quiet, debug=debug) as voice:
        import msgspec

        from locum.cli.stages import require_dataset
        from locum.dataset.store import read_stats

        folder = require_dataset(dataset)
        stats = read_stats(folder)
        if drops:
            dropped, of = _drops(voice, folder, stats, reason, limit)
            voice.result({"shown": len(dropped), "of": of, "drops": msgspec.to_builtins(dropped)})
        else:
            found, of = _found(folder, stats, family, id_, split, limit)
            show_rows(voice, found, mask=mask, base=base)
            if not found and family is not None:
                voice.say(f"no row of family {family} in {split}: look with --split all")
            elif of > len(found):
                voice.say(f"{len(found):,} of {of:,}; more with --limit {min(of, 10 * limit)}", style="dim")
            voice.result({"shown": len(found), "of": of, "rows": msgspec.to_builtins(found)})


def _drops(voice: Output, folder: Path, stats: "Stats", reason: str | None, limit: int) -> tuple[list["Drop"], int]:
    """Show drops by reason, `limit` of each; they are returned with how many there are."""
    from locum.dataset.legibility import REASONS
    from locum.dataset.store import read_drops

    _known(reason, stats.drops, f"no turn of {folder} was dropped for")
    by_reason: dict[str, list[Drop]] = {}
    for drop in read_drops(folder):
        if reason in (None, drop.reason):
            by_reason.setdefault(drop.reason, []).append(drop)
    shown: list[Drop] = []
    for name, found in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        voice.say(f"{name}: {len(found):,}. {REASONS.get(name, '')}".rstrip(), style="bold")
        for drop in found[:limit]:
            voice.say(f"  {drop.session} turn {drop.turn}: {drop.excerpt}")
        shown += found[:limit]
    return shown, sum(map(len, by_reason.values()))


def _found(
    folder: Path, stats: "Stats", family: str | None, id_: str | None, split: str, limit: int
) -> tuple[list["Row"], int]:
    """The first rows that were asked for, and how many there are."""
    from locum.errors import DatasetError

    _known(family, stats.families, f"no row of {folder} is of family")
    found: list[Row] = []
    of = 0
    for row in _read(folder, "all" if id_ is not None else split):
        if family in (None, row.family) and row.id.startswith(id_ or ""):
            of += 1
            if len(found) < limit:
                found.append(row)
    if id_ is not None and not found:
        raise DatasetError(f"no row of {folder} has an id that begins with {id_!r}; `locum rows {folder}` shows ids")
    return found, of


def _read(folder: Path, split: str) -> Iterator["Row"]:
    from locum.dataset.split import SPLITS
    from locum.dataset.store import iterate_rows

    for name in SPLITS:
        if split in (name, "all"):
            yield from iterate_rows(folder, name)


def _known(name: str | None, counts: Mapping[str, int], otherwise: str) -> None:
    """Raises:
    DatasetError: there is none of that name; the message lists what there is.
    """
    from locum.errors import DatasetError

    if name is not None and name not in counts:
        there = ", ".join(f"{known} {count:,}" for known, count in counts.items()) or "none at all"
        raise DatasetError(f"{otherwise} {name!r}; there are: {there}")


def show_rows(voice: Output, found: list["Row"], *, mask: bool, base: str) -> None:
    """The rows' messages, long prompts shortened; with `mask` all of each as `base` is given it, what the loss covers
    in «».
    """
    if not mask:
        for row in found:
            _heading(voice, row)
            for place, message in enumerate(row.messages, 1):
                shown = message.content if place == len(row.messages) else _shortened(message.content)
                voice.say(f"  {message.role}: {shown}{_calls(message)}")
        return
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


def _shortened(text: str) -> str:
    left = len(text) - PROMPT_SHOWN
    return text if left <= 0 else f"{text[:PROMPT_SHOWN]} ... ({left:,} characters more; --json has all)"


def _calls(message: "Message") -> str:
    import msgspec

    said = ((call.name, msgspec.json.encode(call.arguments).decode()) for call in message.tool_calls)
    return "".join(f"\n    calls {name} {arguments}" for name, arguments in said)


def _heading(voice: Output, row: Any) -> None:
    voice.say(f"{row.id[:12]}  {row.family}  {row.tier}  session {row.session} turn {row.turn}", style="bold")
