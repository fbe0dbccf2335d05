"""What a person reads of an anatomy and of a scaling ladder."""

from collections.abc import Sequence
from typing import Any

from locum.cli.output import Output

_SHOWN = 14


def anatomy(voice: Output, found: dict[str, Any]) -> None:
    """The classes by what fell there, then decisions, then what is said that the base would not say."""
    crossed = f", cross-fitted over {found['folds']} folds," if found["folds"] else ""
    voice.say(
        f"{found['rows']} held-out rows of {found['sessions']} sessions{crossed} at {len(found['steps'])} checkpoints"
        f" (step {found['steps'][0]} to {found['steps'][-1]})",
        style="bold",
    )
    voice.say(f"  {'class':<22} {'tokens':>7} {'base':>6} {'tuned':>6} {'share':>6}  label         strength  rows")
    for part in found["classes"][:_SHOWN]:
        _part(voice, part)
    for title, parts in (("families", found["families"]), ("choice at decisions", found["choices"])):
        if parts:
            voice.say(f"  {title}:")
            for part in parts:
                _part(voice, part)
    if found["shift"]:
        whole = found["shift"][0]
        words = ", ".join(f"{text!r} {times}" for text, times in whole["top"][:5])
        voice.say(
            f"  of {whole['tokens']:,} tokens that it wrote the base would have said {whole['unshifted']:.0%} too"
        )
        if words:
            voice.say(f"    what the base would not have said: {words}")
    if found["model_file"]:
        _quantization(voice, found)
    for exhibit in found["exhibits"][:1]:
        voice.say(
            f"  sounds right, is not the better for its context: row {exhibit['row'][:12]} ({exhibit['family']}):"
            f" type {exhibit['type']:+.2f}, instance {exhibit['instance']:+.2f} nats a token"
        )
    for note in found["notes"]:
        voice.say(f"  note: {note}")


def _part(voice: Output, part: dict[str, Any]) -> None:
    response = part["response"]
    share = "" if part["share"] is None else f"{part['share']:.0%}"
    strength = "" if part["best_strength"] is None else f"{part['best_strength']:g}"
    voice.say(
        f"  {response['name']:<22} {response['tokens']:>7,} {response['first']:>6.2f} {response['last']:>6.2f}"
        f" {share:>6}"
        f"  {response['label']:<13} {strength:>8}  {part['reading']}"
    )


def _quantization(voice: Output, found: dict[str, Any]) -> None:
    """What the model file loses, over all and where it loses most."""
    known = [part for part in found["classes"] if part["quantized"]]
    for part in (*known[:1], *sorted(known[1:], key=lambda part: -part["quantized"]["estimate"])[:1]):
        name, cost = part["response"]["name"], part["quantized"]
        where = "" if name == "all" else f", most in {name}"
        voice.say(
            f"  {found['model_file']} against full precision{where}: {cost['estimate']:+.3f}"
            f" [{cost['low']:+.3f}, {cost['high']:+.3f}] nats a token"
        )


def scaling(voice: Output, found: dict[str, Any]) -> None:
    """The points, and the answer or the refusal, for all rows and for each family."""
    voice.say(
        f"{len(found['rungs'])} trainings; loss of {found['held_out_rows']} held-out rows"
        f" of {found['held_out_sessions']} sessions, in nats per token",
        style="bold",
    )
    for rows, loss, band in zip(found["all"]["rows"], found["all"]["losses"], found["all"]["bands"], strict=True):
        voice.say(f"  {rows:>7,} rows  {loss:.3f}  [{band[0]:.3f}, {band[1]:.3f}]")
    _answer(voice, "all rows", found["all"])
    for title, forecasts in (("", found["families"]), ("choice, ", found["choices"])):
        for name, forecast in forecasts.items():
            rate = "" if forecast["base_rate"] is None else f"; the base rate alone: {forecast['base_rate']:.3f}"
            _answer(voice, f"{title}{name} ({found['sessions'].get(name, 0)} training sessions{rate})", forecast)


def _answer(voice: Output, name: str, forecast: dict[str, Any]) -> None:
    voice.say(f"  {name}: {_sentence(forecast)}")


def _sentence(forecast: dict[str, Any]) -> str:
    if forecast["refused"]:
        return f"no forecast: {_first(forecast['refused'])}"
    low, high = forecast["expected_band"]
    said = (
        f"{forecast['asked']:,} rows would give {forecast['expected']:.3f} [{low:.3f}, {high:.3f}],"
        f" from {forecast['losses'][-1]:.3f} with {forecast['rows'][-1]:,}"
    )
    if forecast["target_rows"]:
        least, most = forecast["target_rows"]
        upper = "any number of" if most is None else f"{most:,.0f}"
        said += f"; a loss of {forecast['target']:.3f} needs {least:,.0f} to {upper} rows"
    return said


def _first(reasons: Sequence[str]) -> str:
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return reasons[0] + more
