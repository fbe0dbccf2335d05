"""What a person reads of an evaluation: a line for each answer, and where the rest stands."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from locum.cli.output import Output, count

_PRIMARY = ("exact_call", "verdict", "stance")
"""The measure that says whether a family's decision is right."""
_BASELINES = ("base", "base_icl", "knn", "majority")
_LESS_IS_WORSE = ("distinct_2", "distinct_3")


def evaluation(voice: Output, results: Mapping[str, Any]) -> None:
    """Sounding right and being right, apart; `results.json` and the report hold every figure behind it."""
    scored, generated = results["scored"], results["generated"]
    voice.say(
        f"evaluated on {scored['rows']} of {scored['of_rows']} held-out rows, {generated['rows']} of them answered"
        f" (cap {generated['cap']}), from {count(generated['sessions'], 'session')}",
        style="bold",
    )
    if results["loss"]:
        voice.say("  sounding right")
        _sounding(voice, results)
    if results["competence"]:
        voice.say("  being right")
    for family, everything in results["competence"].items():
        _family(voice, results, family, everything)
    if results["signatures"]:
        voice.say(f"  going wrong: {_flagged(results['signatures'])}")
    for note in results["notes"]:
        voice.say(f"  note: {note}")


def pointer(voice: Output, run: Path) -> None:
    """Where the rest is."""
    voice.say(f"  all figures: {run / 'evaluation' / 'results.json'}; as a page: locum report {run} --open")


def _sounding(voice: Output, results: Mapping[str, Any]) -> None:
    loss = results["loss"]
    voice.say(f"    held-out loss  tuned {_interval(loss['tuned'])}  base {_interval(loss['base'])} nats per token")
    for family, arms in results["loss_by_family"].items():
        if len(results["loss_by_family"]) > 1:
            voice.say(f"      {family:<14} {arms['tuned']['estimate']:.2f}, base {arms['base']['estimate']:.2f}")
    for measure, arms in results["resemblance"].items():
        if measure != "length":
            parts = [f"{arm} {arms[arm]['estimate']:.2f}" for arm in ("base", "agent") if arm in arms]
            tuned = f"tuned {_interval(arms['tuned'])}" if "tuned" in arms else ""
            voice.say(f"    {measure:<14} {'  '.join(filter(None, (tuned, *parts)))}")
    missing = [
        path.partition("/")[2] for path in results["undefined"] if path.count("/") == 1 and "resemblance/" in path
    ]
    if missing:
        why = next(iter(results["undefined"][f"resemblance/{name}"]["why"] for name in missing))
        voice.say(f"    not measured   {', '.join(missing)} (the first: {why})")
    gains = results["gains"]
    if gains is not None and gains["headline"] is not None:
        parts = gains["headline"]
        voice.say(
            f"    gained {_interval(parts['total'])} = type (manner) {_interval(parts['type'])}"
            f" + instance (judgement) {_interval(parts['instance'])}, on {count(gains['rows'], 'row')}"
        )


def _family(voice: Output, results: Mapping[str, Any], family: str, everything: Mapping[str, Any]) -> None:
    """What an outcome verifies where that is a part, else all; the tuned model with its interval, the other arms by
    their estimates."""
    tiers = results["tiers"][family]
    rows, verified = sum(tiers.values()), tiers["verified"]
    measures = results["verified"][family] if 0 < verified < rows else everything
    measure = next((name for name in _PRIMARY if name in measures), None)
    if measure is None:
        return
    arms = measures[measure]
    others = [f"{arm} {arms[arm]['estimate']:.2f}" for arm in _BASELINES if arm in arms]
    if "agent" in arms:
        others.insert(0, f"agent {_interval(arms['agent'])}")
    which = f"{verified} of {count(rows, 'row')} verified"
    voice.say(f"    {family:<14} {measure} tuned {_interval(arms['tuned'])}  {'  '.join(others)}  ({which})")
    if family in results["lookups"]:
        better = results["lookups"][family]["estimate"] > 0
        verdict = "not shown to beat the lookup," if better else "ship the lookup: tuned is no better than"
        voice.say(f"      {verdict} a copy of the nearest training row's decision")
    again = (results["replay"] or {}).get("agreement", {}).get(family, {})
    if "starved" in again:
        parts = [f"{part} {_interval(found)} of {count(found['rows'], 'prompt')}" for part, found in again.items()]
        voice.say(f"      the agent agrees with itself: {', '.join(parts)}")
    drawn = (results["reliability"] or {}).get("families", {}).get(family)
    if drawn:
        shown = "  ".join(f"{name} {_interval(arms['tuned'])}" for name, arms in drawn.items())
        how = results["reliability"]
        voice.say(f"      drawn {how['draws']} times at {how['temperature']}: {shown}")


def _flagged(signatures: Mapping[str, Any]) -> str:
    """The signatures that are shown to be beyond the agent's own, with the excess."""
    found = []
    for name, arms in signatures.items():
        excess = arms["tuned-agent"]
        if excess["high"] < 0 if name in _LESS_IS_WORSE else excess["low"] > 0:
            found.append(f"{name} {excess['estimate']:+.2f} [{excess['low']:+.2f}, {excess['high']:+.2f}]")
    if not found:
        return "nothing is shown to be beyond the agent's own rate"
    return f"beyond the agent's own rate (each at 95 %): {', '.join(found)}"


def _interval(estimate: Mapping[str, Any]) -> str:
    return f"{estimate['estimate']:.2f} [{estimate['low']:.2f}, {estimate['high']:.2f}]"
