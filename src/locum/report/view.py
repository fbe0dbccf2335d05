"""From what a run holds to what the page shows: every sentence and figure, and no HTML. Pure functions."""

from collections.abc import Mapping, Sequence

import msgspec

from locum.dataset.legibility import REASONS
from locum.dataset.stats import Stats
from locum.report import figures
from locum.report.card import Card, card
from locum.report.cost import Cost, cost
from locum.report.curve import Curve, curve
from locum.report.evidence import Evidence, evidence
from locum.report.inputs import Check, Excerpts, Inputs, Verdict
from locum.report.legible import Legible, legible
from locum.report.quantization import Quantization, quantization
from locum.report.scaling import Climbs, climbs
from locum.report.valleys import Map, valley_map
from locum.report.voices import Voices, visible, voices
from locum.settings import Price

_MEANING = {
    "LIVE": "may do this work",
    "CANARY": "may do a share of this work, watched",
    "SHADOW": "may answer beside the agent, unseen",
    "INSUFFICIENT": "not enough evidence",
    "REJECT": "not fit for this work",
}
_STEPS = tuple(_MEANING)


class Headline(msgspec.Struct, frozen=True):
    """The verdict in one sentence: what the model may do, then why."""

    lead: str
    rest: str

    @property
    def sentence(self) -> str:
        """Both halves as one sentence."""
        return f"{self.lead}: {self.rest}."


class FamilyLine(msgspec.Struct, frozen=True):
    """What one family may be trusted with."""

    family: str
    verdict: str
    meaning: str
    reason: str
    short: str
    """How many sessions are missing; empty where none are."""
    seen: str
    route: str
    """Which of its requests it could answer; empty where there is nothing to say."""
    checks: tuple[Check, ...]


class Fall(msgspec.Struct, frozen=True):
    """One bar of the funnel: it covers `start` to `stop` of the turns."""

    label: str
    count: int
    start: int
    stop: int
    kind: str
    """`turns`, `drop`, `rows` or `family`: chooses the colour."""
    meaning: str = ""
    excerpts: tuple[str, ...] = ()


class Funnel(msgspec.Struct, frozen=True):
    """Turns to rows."""

    turns: int
    title: str
    bars: tuple[Fall, ...]
    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    """What has to be known before the rest is trusted."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """All that the template needs."""

    name: str
    about: tuple[str, ...]
    headline: Headline
    families: tuple[FamilyLine, ...]
    funnel: Funnel | None
    legible: Legible | None
    curve: Curve | None
    valleys: Map | None
    evidence: Evidence | None
    voices: Voices
    scaling: Climbs | None
    cost: Cost | None
    card: Card
    quantization: Quantization | None
    gaps: Mapping[str, str]


def page(inputs: Inputs, prices: Mapping[str, Price] | None = None) -> Page:
    """The whole page as values; `prices` are those of the agent's models (`settings.Settings`)."""
    manifest, results = inputs.manifest, inputs.results
    name = visible(str(manifest.get("name") or (results.name if results else "") or inputs.run.name))
    base = manifest.get("base") or (results.base if results else None)
    created = manifest.get("created")
    about = (
        f"from {visible(figures.file_name(str(base)))}" if base else "",
        figures.count(inputs.stats.rows, "row") if inputs.stats else "",
        str(created)[:10] if created else "",
    )
    return Page(
        name=name,
        about=tuple(filter(None, about)),
        headline=headline(inputs.verdicts),
        families=tuple(map(_family_line, sorted(inputs.verdicts.values(), key=_rank))),
        funnel=funnel(inputs.stats, inputs.excerpts) if inputs.stats else None,
        legible=legible(inputs.scores),
        curve=curve(inputs.curve),
        valleys=valley_map(inputs.anatomy),
        evidence=evidence(results) if results else None,
        voices=voices(inputs.samples, inputs.favourites, inputs.tokens),
        scaling=climbs(inputs.scaling),
        cost=cost(inputs, prices or {}),
        card=card(inputs),
        quantization=quantization(inputs.ladder),
        gaps=inputs.gaps,
    )


def headline(verdicts: Mapping[str, Verdict]) -> Headline:
    """One honest sentence over all families. Never better than what the gate granted."""
    granted = {step: _names(verdicts, step) for step in _STEPS}
    rest = []
    if granted["LIVE"]:
        lead = f"May be trusted with {figures.listing(granted['LIVE'])}"
    elif granted["CANARY"]:
        lead = f"May be trusted with a watched share of {figures.listing(granted['CANARY'])}"
    else:
        lead = "May be trusted with nothing yet"
    if not verdicts:
        return Headline(lead, "the gate has not spoken")
    if granted["LIVE"] and granted["CANARY"]:
        rest.append(f"with a watched share of {figures.listing(granted['CANARY'])}")
    if granted["SHADOW"]:
        rest.append(f"fit to shadow the agent in {figures.listing(granted['SHADOW'])}")
    if granted["REJECT"]:
        everywhere = len(granted["REJECT"]) == len(verdicts) > 1
        where = "every family" if everywhere else figures.listing(granted["REJECT"])
        rest.append(f"rejected in {where}")
    settled = {"LIVE", "CANARY", "SHADOW", "REJECT"}
    rest += _thin_evidence(verdicts, [v for v in verdicts.values() if v.verdict not in settled])
    if granted["LIVE"] and len(granted["LIVE"]) == len(verdicts):
        rest.append("the evidence holds in every family")
    return Headline(lead, "; ".join(rest) or "the evidence holds there, and nowhere else")


def _thin_evidence(verdicts: Mapping[str, Verdict], thin: Sequence[Verdict]) -> list[str]:
    """What is said of the families without enough evidence, and which of them is nearest."""
    if not thin:
        return []
    everywhere = len(thin) == len(verdicts) > 1
    where = "any family" if everywhere else figures.listing(sorted(visible(v.family) for v in thin))
    clauses = [f"not enough evidence {'in' if everywhere else 'for'} {where}"]
    counted = [(_short(v), v.family) for v in thin if _short(v)]
    if counted:
        missing, family = min(counted)
        nearest = f"the nearest is {visible(family)}, " if len(thin) > 1 else ""
        clauses.append(f"{nearest}{figures.count(missing, 'session')} short")
    return clauses


def _short(verdict: Verdict) -> int:
    """Sessions still missing; nought where the gate does not say or none are."""
    return max(0, verdict.sessions_needed or 0)


def _names(verdicts: Mapping[str, Verdict], step: str) -> list[str]:
    return sorted(visible(v.family) for v in verdicts.values() if v.verdict == step)


def _rank(verdict: Verdict) -> tuple[int, int, str]:
    """The nearest to being trusted first."""
    step = _STEPS.index(verdict.verdict) if verdict.verdict in _STEPS else len(_STEPS)
    return step, _short(verdict) or 1 << 30, verdict.family


def _family_line(verdict: Verdict) -> FamilyLine:
    missing = _short(verdict)
    seen = f"{figures.count(verdict.rows, 'held-out row')} of {figures.count(verdict.sessions, 'session')}"
    if verdict.effective_rows is not None and verdict.rows:
        seen += f", as much evidence as {figures.number(verdict.effective_rows, 1)} unrelated rows"
    return FamilyLine(
        family=visible(verdict.family),
        verdict=visible(verdict.verdict),
        meaning=_MEANING.get(verdict.verdict, "a verdict this page does not know"),
        reason=visible(verdict.reason),
        short=f"{figures.count(missing, 'session')} short" if missing else "",
        seen=seen,
        route=visible(verdict.route.reason) if verdict.route else "",
        checks=verdict.checks,
    )


def funnel(stats: Stats, excerpts: Excerpts) -> Funnel:
    """Turns at the top, each reason for a drop below the one before, then the rows and their families."""
    reasons = sorted(stats.drops.items(), key=lambda item: -item[1])
    total = max(stats.turns, 1)
    bars = [Fall("turns", stats.turns, 0, total, "turns")]
    left = stats.turns
    for reason, n in reasons:
        texts = tuple(visible(drop.excerpt.strip()) for drop in excerpts.by_reason.get(reason, ()))
        label, start = visible(reason.replace("_", " ")), max(left - n, 0)
        bars.append(Fall(label, n, start, max(left, 0), "drop", REASONS.get(reason, ""), texts))
        left -= n
    bars.append(Fall("rows", stats.rows, 0, stats.rows, "rows"))
    left = 0
    for family, n in sorted(stats.families.items(), key=lambda item: -item[1]):
        bars.append(Fall(visible(family), n, left, left + n, "family"))
        left += n
    return Funnel(
        turns=total,
        title=f"{figures.count(stats.turns, 'turn')}, {figures.count(stats.rows, 'row')}",
        bars=tuple(bars),
        sentences=tuple(filter(None, (_sources(stats), _lines(stats), _rows(stats), _split(stats)))),
        notes=tuple(filter(None, (_balance(stats), *map(visible, stats.notes)))),
    )


def _sources(stats: Stats) -> str:
    formats = figures.listing([f"{visible(name)} ({n:,})" for name, n in stats.formats.items()])
    sentence = f"{figures.count(stats.sessions, 'session')} in {figures.count(stats.files, 'file')}: {formats}."
    if stats.without_turns:
        sentence += f" {figures.count(stats.without_turns, 'session')} held no turn."
    return sentence


def _lines(stats: Stats) -> str:
    lines = stats.lines
    return (
        f"Of {figures.count(lines.total, 'log line')} {lines.used:,} were used, {lines.noise:,} are known "
        f"noise, "
        f"{lines.unknown:,} are of unknown kinds and {lines.bad:,} could not be read."
    )


def _rows(stats: Stats) -> str:
    parts = []
    if stats.narration:
        parts.append(f"text beside a tool call was left out of {figures.count(stats.narration, 'turn')}")
    if stats.shortened:
        parts.append(f"the prompt was shortened to its budget in {figures.count(stats.shortened, 'row')}")
    if verified := stats.tiers.get("verified", 0):
        parts.append(f"the log shows that the response was right in {figures.count(verified, 'row')}")
    sentence = figures.listing(parts)
    return f"{sentence[0].upper()}{sentence[1:]}." if sentence else ""


def _split(stats: Stats) -> str:
    sessions = stats.sessions_by_split
    parts = [
        f"{split} {figures.count(rows, 'row')} of {figures.count(sessions.get(split, 0), 'session')}"
        for split, rows in stats.splits.items()
    ]
    order = f"Split by session and forward by {stats.ordered_by}: {figures.listing(parts)}."
    if stats.untimed:
        order += f" {figures.count(stats.untimed, 'conversation')} without any time went first."
    return order


def _balance(stats: Stats) -> str:
    dropped = sum(stats.drops.values())
    if stats.rows + dropped == stats.turns:
        return ""
    return (
        f"The counts do not add up: {stats.rows:,} rows and {dropped:,} drops are not {stats.turns:,} turns. "
        "Do not rely on this dataset."
    )
