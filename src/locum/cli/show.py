"""What a person reads between the progress bars."""

from pathlib import Path
from typing import Any

from locum.cli.output import Output


def funnel(voice: Output, extracted: dict[str, Any]) -> None:
    """Turns to rows, and what was left behind."""
    stats = extracted["stats"]
    lines = stats["lines"]
    voice.say(f"{_count(stats['files'], 'file')}, {_count(stats['sessions'], 'session')}", style="bold")
    for reason, times in extracted["skipped"].items():
        voice.say(f"  left aside {_count(times, 'file')}: {reason}")
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
    parts = ", ".join(f"{split} {rows:,} ({_count(sessions[split], 'session')})" for split, rows in splits.items())
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
        f"trained {_count(trained['rows'], 'row')} in {trained['steps']} steps, {trained['seconds']:.0f} s"
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
        voice.say(f"  left out {_count(len(trained['skipped']), 'row')}; the first: {trained['skipped'][0]}")


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
            f"  note: this base exists only quantized ({exported['quantized_from']}); its weights are approximate"
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


def evaluation(voice: Output, results: dict[str, Any]) -> None:
    """Sounding right and being right, apart."""
    scored, generated = results["scored"], results["generated"]
    voice.say(
        f"evaluated on held-out rows: loss on {scored['rows']} of {scored['of_rows']}, answers on"
        f" {generated['rows']} of {generated['of_rows']} (cap {generated['cap']}) from"
        f" {_count(generated['sessions'], 'session')}",
        style="bold",
    )
    loss = results["loss"]
    if loss:
        voice.say("  sounding right")
        voice.say(f"    held-out loss    tuned {_interval(loss['tuned'])}  base {_interval(loss['base'])}")
        for measure, arms in results["resemblance"].items():
            parts = "  ".join(f"{arm} {_interval(arms[arm])}" for arm in ("tuned", "base", "agent") if arm in arms)
            voice.say(f"    {measure:<16} {parts}")
        for path, why in results["undefined"].items():
            room, _, measure = path.partition("/")
            if room == "resemblance":
                voice.say(f"    {measure:<16} {why['kind'].replace('_', ' ')}: {why['why']}")
    _gains(voice, results["gains"])
    _competence(voice, results)
    _choice(voice, results)
    if results["signatures"]:
        voice.say("  going wrong (share of answers; excess is over the agent's own)")
    for name, arms in results["signatures"].items():
        parts = "  ".join(f"{arm} {_interval(arms[arm])}" for arm in ("tuned", "base", "agent") if arm in arms)
        voice.say(f"    {name:<16} {parts}  excess {_interval(arms['tuned-agent'])}")
    _recovery(voice, results)
    for note in results["notes"]:
        voice.say(f"  note: {note}")


def _recovery(voice: Output, results: dict[str, Any]) -> None:
    """How far training carried the base towards the agent, in sounding right and in being right."""
    voice.say("  carried towards the agent (0: as the base, 1: as the agent)")
    for name, title in (("resemblance", "sounding right"), ("competence", "being right"), ("gap", "gap")):
        found, why = results["recovery"].get(name), results["undefined"].get(f"recovery/{name}")
        if found:
            voice.say(f"    {title:<16} {_interval(found)}")
        elif why:
            voice.say(f"    {title:<16} {why['kind'].replace('_', ' ')}: {why['why']}")


def _gains(voice: Output, gains: dict[str, Any] | None) -> None:
    """The drop in loss, as manner and as judgement."""
    if gains is None or gains["headline"] is None:
        voice.say("  type and instance: too few rows of other sessions to lend their prompts")
        return
    parts = gains["headline"]
    voice.say(
        f"  what training gained, in nats a token that is not copied: {_interval(parts['total'])}"
        f" = type {_interval(parts['type'])} + instance {_interval(parts['instance'])}"
        f" (on {_count(gains['rows'], 'row')}; {gains['too_few']} more have too few others)"
    )


def _choice(voice: Output, results: dict[str, Any]) -> None:
    """Choosing among the options open at decisions, and the contrast sets."""
    for family, choice in results["choice"].items():
        shown = "  ".join(f"{arm} {_interval(choice['right'][arm])}" for arm in ("tuned", "base", "prior"))
        skill = "  ".join(f"{arm} {_interval(choice['skill'][arm])}" for arm in ("tuned", "base"))
        voice.say(f"    {family}, of the options open: {shown}  skill over the base rate: {skill}")
    for kind, found in results["contrasts"].items():
        shown = "  ".join(f"{arm} {_interval(found['right'][arm])}" for arm in ("tuned", "base", "overlap"))
        faults = f"  but {', '.join(found['faults'])}" if found["faults"] else ""
        voice.say(f"    {kind.replace('_', ' ')}: {shown}{faults}")


_ARMS = ("tuned", "base", "base_icl", "knn", "majority")


def _competence(voice: Output, results: dict[str, Any]) -> None:
    """Being right, what an outcome verifies first, each beside its arms."""
    if results["competence"]:
        voice.say("  being right")
    for family, everything in results["competence"].items():
        tiers = results["tiers"][family]
        verified = tiers["verified"]
        voice.say(f"    {family}: {verified} of {_count(sum(tiers.values()), 'row')} verified by an outcome")
        some = 0 < verified < sum(tiers.values())
        parts = [("", everything)]
        if some:
            parts = [(" (verified)", results["verified"][family]), (" (all)", everything)]
        for which, measures in parts:
            for measure, arms in measures.items():
                shown = "  ".join(f"{arm} {_interval(arms[arm])}" for arm in _ARMS if arm in arms)
                why = results["undefined"].get(f"competence/{family}/{measure}/tuned")
                voice.say(f"      {measure}{which}: {shown or (why['why'] if why else 'undefined')}")
        if family in results["lookups"]:
            voice.say(
                "      ship the lookup: tuned is not shown to beat a copy of the nearest training row's decision"
                f" (tuned - knn {_interval(results['lookups'][family])})"
            )


def verdicts(voice: Output, found: dict[str, Any]) -> None:
    """What it may be trusted with."""
    voice.say("may it be trusted?", style="bold")
    for family, verdict in found.items():
        needed = verdict["sessions_needed"]
        short = f" ({needed} held-out sessions short)" if needed else ""
        voice.say(f"  {family:<14} {verdict['verdict']}{short}")
        voice.say(f"    {verdict['reason']}")


def closing(voice: Output, folder: Path, report: str, deployed: dict[str, Any]) -> None:
    """Where everything is and what to do next."""
    voice.say()
    voice.say(f"run     {folder}")
    voice.say(f"report  {report}")
    if deployed["name"]:
        voice.say(f"talk    locum chat {deployed['name']} --beside base     (in {deployed['engine']})")


def _interval(estimate: dict[str, Any]) -> str:
    return f"{estimate['estimate']:.2f} [{estimate['low']:.2f}, {estimate['high']:.2f}]"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
