"""What a person reads between the progress bars."""

from pathlib import Path
from typing import Any

from locum.cli.output import Output, count


def funnel(voice: Output, extracted: dict[str, Any]) -> None:
    """Turns to rows, and what was left behind."""
    stats = extracted["stats"]
    lines = stats["lines"]
    voice.say(f"{count(stats['files'], 'file')}, {count(stats['sessions'], 'session')}", style="bold")
    for reason, times in extracted["skipped"].items():
        voice.say(f"  left aside {count(times, 'file')}: {reason}")
    voice.say(
        f"  {lines['total']:,} lines = {lines['used']:,} used + {lines['noise']:,} noise"
        f" + {lines['unknown']:,} unknown + {lines['bad']:,} bad"
    )
    for kind, times in stats["unknown"].items():
        voice.say(f"    unknown: {kind} {times:,}")
    for bad in stats["bad"][:5]:
        voice.say(f"    bad: {bad['file']} line {bad['line']}: {bad['reason']}")
    if lines["bad"] > 5:
        voice.say(f"    and {lines['bad'] - 5:,} more; stats.json lists {len(stats['bad']):,}")
    voice.say(f"  {stats['turns']:,} turns = {stats['rows']:,} rows + {sum(stats['drops'].values()):,} drops")
    for reason, times in stats["drops"].items():
        voice.say(f"    dropped {times:>6,}  {reason}")
    for family, rows in stats["families"].items():
        voice.say(f"    rows    {rows:>6,}  {family}")
    splits, sessions = stats["splits"], stats["sessions_by_split"]
    parts = ", ".join(f"{split} {rows:,} ({count(sessions[split], 'session')})" for split, rows in splits.items())
    voice.say(f"  split forward in {'time' if stats['ordered_by'] == 'time' else 'order of appearance'}: {parts}")
    held_out = f"{stats['rows'] - splits['train']:,} held-out rows"
    voice.say(f"  leak check: {stats['leaks']:,} of {held_out} are nearly the same as a row of an earlier split")
    if stats["redactions"]:
        voice.say("  redacted: " + ", ".join(f"{kind} {times:,}" for kind, times in stats["redactions"].items()))
    for note in stats["notes"]:
        voice.say(f"  note: {note}")


def training(voice: Output, trained: dict[str, Any]) -> None:
    """Where the loss began and ended."""
    voice.say(
        f"trained {count(trained['rows'], 'row')} in {trained['steps']} steps, {trained['seconds']:.0f} s"
        f" ({trained['tokens_per_second']:.0f} tokens/s on {trained['device']}, {trained['dtype']})",
        style="bold",
    )
    voice.say(f"  training loss {trained['train_first']:.3f} -> {trained['train_last']:.3f} nats per token")
    if trained["valid_best"] is not None:
        voice.say(
            f"  held-out loss {trained['valid_first']:.3f} -> {trained['valid_best']:.3f}"
            f" (kept: step {trained['best_step']})"
        )
    if trained["skipped"]:
        voice.say(f"  left out {count(len(trained['skipped']), 'row')}; the first: {trained['skipped'][0]}")


def export(voice: Output, exported: dict[str, Any]) -> None:
    """The model file and its certificate."""
    parity = exported["parity"]
    voice.say(
        f"model file {exported['model_file']} ({exported['model_bytes'] / 1e6:.0f} MB); parity with training:"
        f" {parity['identical']} of {parity['checked']} conversations identical",
        style="bold",
    )
    if exported["quantized_from"]:
        voice.say(
            f"  note: this base exists here only quantized ({exported['quantized_from']}); its weights are approximate"
        )
    if exported.get("ladder"):
        ladder(voice, exported["ladder"])
    for note in exported["notes"]:
        voice.say(f"  note: {note}")


def ladder(voice: Output, found: dict[str, Any]) -> None:
    """The types that were tried, smallest first."""
    voice.say(
        f"  ladder: the smallest type whose held-out loss rises by at most {found['loss_margin']} nats per token"
        f" and that loses at most {found['decision_margin']:.0%} of the decisions is {found['chosen']}"
    )
    for rung in found["rungs"]:
        loss, lost = rung["loss"], f"{rung['decisions_lost']} of {rung['decisions']}"
        voice.say(
            f"    {rung['quantization']:<7} {rung['bytes'] / 1e6:>7.0f} MB  loss {loss['estimate']:+.3f}"
            f" [{loss['low']:+.3f}, {loss['high']:+.3f}]  decisions lost {lost}"
            f"  {'holds' if rung['holds'] else 'worse'}"
        )


def verdicts(voice: Output, found: dict[str, Any]) -> None:
    """What it may be trusted with."""
    voice.say("may it be trusted?", style="bold")
    for family, verdict in found.items():
        needed = verdict["sessions_needed"]
        short = f" (this model is {count(needed, 'held-out session')} short)" if needed else ""
        voice.say(f"  {family:<14} {verdict['verdict']}{short}")
        voice.say(f"    {verdict['reason']}")
        if verdict["route"]:
            voice.say(f"    {verdict['route']['reason']}")


def closing(voice: Output, folder: Path, report: str, deployed: dict[str, Any]) -> None:
    """Where everything is and what to do next."""
    voice.say()
    voice.say(f"run     {folder}")
    voice.say(f"report  {report}")
    if deployed["name"]:
        voice.say(f"talk    {talking(deployed)}     (in {deployed['engine']})")


def talking(deployed: dict[str, Any]) -> str:
    """The command that talks to a deployed model; Ollama does not keep its base to show beside it."""
    name = deployed["name"]
    return f"ollama run {name}" if deployed["engine"] == "ollama" else f"locum chat {name} --beside base"
