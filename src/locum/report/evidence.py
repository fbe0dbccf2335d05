"""What was measured, arranged for the page: sounding right and being right, with arms and intervals."""

from collections.abc import Iterable, Mapping

import msgspec

from locum.evaluation.results import Arms, Results, Sampled
from locum.report import charts, figures
from locum.types import Estimate

ARMS = ("agent", "base", "tuned", "majority", "knn", "base_icl")

_TITLES = {
    "two_sample": (
        "Indistinguishable",
        "1: a classifier that sees no topics cannot tell it from the agent on the same prompts; 0: always",
    ),
    "style": (
        "Style",
        "likeness to the agent's own use of function words and punctuation; the agent's is its likeness to itself",
    ),
    "rhythm": ("Rhythm", "how the sentences run; 1 is as near as the agent is to itself"),
    "vocabulary": ("Vocabulary", "the agent's own words in the answers in which it used them, and not in others"),
    "length": ("Length", "words per answer"),
    "right_tool": ("Right tool", "share of the agent's calls where the same tool is called"),
    "exact_call": ("Exact call", "share where the tool and every argument are the agent's"),
    "verdict": ("Verdict", "share of reviews with the agent's verdict"),
    "stance": ("Stance", "share of replies that push back, comply or ask as the agent did"),
    "agreement": ("Agreement", "share of pairs of draws that decide the same, right or wrong"),
    "repetition": ("Repetition", "share of an answer's word sequences that it has said already"),
    "loops": ("Loops", "share of answers that end in a circle"),
    "made_up": ("Made-up details", "share of answers with a detail that is not in the prompt"),
    "unfinished": ("Unfinished", "share of answers that the cap on new tokens ended"),
    "invented": ("Invented details", "share of answers with a detail that is in no training row either"),
    "transplants": ("Transplants", "share of answers with a detail out of another training row"),
    "verbatim": ("Recitals", "share of answers with 50 tokens in a row out of a training row"),
    "coverage": ("Verbatim coverage", "share of an answer’s runs of 8 tokens that stand in a training row"),
    "distinct_2": ("Distinct pairs", "share of word pairs that are said once; less is worse"),
    "distinct_3": ("Distinct triples", "share of word triples that are said once; less is worse"),
    "gzip_ratio": ("Compression", "bytes before over bytes after; more is worse"),
    "self_repetition": (
        "Self-repetition",
        "share of an answer’s word sequences that stand in answers of other sessions",
    ),
    "self_bleu": ("Self-BLEU", "likeness between answers of different sessions; more is worse"),
}


class ArmRow(msgspec.Struct, frozen=True):
    """One line of an interval plot."""

    arm: str
    """An arm, or for a difference the arm that is judged: it chooses the mark."""
    label: str
    estimate: Estimate
    text: str
    """`0.68 [0.55, 0.79]`."""


class Plot(msgspec.Struct, frozen=True):
    """Rows on one scale."""

    scale: charts.Scale
    rows: tuple[ArmRow, ...]


class Measure(msgspec.Struct, frozen=True):
    """One measure of one group of rows: the arms on one scale, their differences on another."""

    title: str
    unit: str
    evidence: str
    """`14 rows of 6 sessions`."""
    arms: Plot | None
    differences: Plot | None


class Family(msgspec.Struct, frozen=True):
    """What was measured of one family."""

    name: str
    measures: tuple[Measure, ...]


class Evidence(msgspec.Struct, frozen=True):
    """Section 4 of the page."""

    resemblance: tuple[Measure, ...]
    loss_by_family: tuple[Measure, ...]
    competence: tuple[Family, ...]
    signatures: tuple[Measure, ...]
    scored: str
    generated: str


def evidence(results: Results) -> Evidence:
    """Arrange the results for the eye; nothing is computed but scales."""
    loss = _measure(
        "Held-out loss", "nats per token of the agent's own answers; less is nearer", results.loss, digits=3
    )
    drawn = results.reliability.families if results.reliability else {}
    style = [_named(name, arms, shares=name != "length") for name, arms in results.resemblance.items()]
    return Evidence(
        resemblance=tuple(m for m in (loss, *style) if m.arms or m.differences),
        loss_by_family=tuple(_measure(family, "", arms, digits=3) for family, arms in results.loss_by_family.items()),
        competence=tuple(
            Family(
                family,
                tuple(_named(name, arms, shares=True) for name, arms in (measures | drawn.get(family, {})).items()),
            )
            for family, measures in results.competence.items()
        ),
        signatures=tuple(_named(name, arms) for name, arms in results.signatures.items()),
        scored=_sampled(results.scored),
        generated=_sampled(results.generated),
    )


def _sampled(sampled: Sampled) -> str:
    rows = figures.count(sampled.of_rows, "held-out row")
    sessions = figures.count(sampled.of_sessions, "session")
    if sampled.rows >= sampled.of_rows:
        return f"all {rows} of {sessions}"
    return f"{sampled.rows:,} of {rows}, from {sampled.sessions:,} of {sessions} (cap {sampled.cap:,})"


def _named(name: str, arms: Arms, *, shares: bool = False) -> Measure:
    title, unit = _TITLES.get(name, (name.replace("_", " ").capitalize(), ""))
    if name.startswith("pass^"):
        unit = f"share of decisions of which {name.removeprefix('pass^')} draws would all be right"
    return _measure(title, unit, arms, shares=shares)


def _measure(title: str, unit: str, arms: Arms, *, digits: int | None = None, shares: bool = False) -> Measure:
    """`shares` fixes the scale to 0..1, so that families can be compared by eye."""
    levels = {arm: estimate for arm, estimate in _ordered(arms) if _compared(arm) is None}
    differences = {arm: estimate for arm, estimate in _ordered(arms) if _compared(arm) is not None}
    places = figures.digits_for([e.estimate for e in arms.values()]) if digits is None else digits
    return Measure(
        title=title,
        unit=unit,
        evidence=" · ".join(dict.fromkeys(_seen(e) for e in levels.values() or differences.values())),
        arms=_plot(levels, charts.SHARES if shares else None, places),
        differences=_plot(differences, charts.SHARE_DIFFERENCES if shares else None, places, signed=True),
    )


def _plot(
    arms: Mapping[str, Estimate], scale: charts.Scale | None, digits: int, *, signed: bool = False
) -> Plot | None:
    if not arms:
        return None
    ends = [v for e in arms.values() for v in ((e.estimate,) if e.sessions == 1 else (e.estimate, e.low, e.high))]
    rows = []
    for arm, estimate in arms.items():
        compared = _compared(arm)
        label = f"{compared[0]} {figures.MINUS} {compared[1]}" if compared else arm
        judged = ("tuned" if "tuned" in compared else compared[0]) if compared else arm
        rows.append(ArmRow(judged, label, estimate, figures.interval(estimate, digits, signed=signed)))
    return Plot(scale or charts.linear(ends, zero=True, about=3), tuple(rows))


def _compared(arm: str) -> tuple[str, str] | None:
    """The two arms of a comparison such as `tuned-base`; None for an arm."""
    left, dash, right = arm.partition("-")
    return (left, right) if dash and left in ARMS and right in ARMS else None


def _ordered(arms: Arms) -> Iterable[tuple[str, Estimate]]:
    """Always agent, base, tuned, baselines; the rest as they come."""
    rank = {arm: i for i, arm in enumerate(ARMS)}
    return sorted(arms.items(), key=lambda item: rank.get(item[0], len(ARMS)))


def _seen(estimate: Estimate) -> str:
    return f"{figures.count(estimate.rows, 'row')} of {figures.count(estimate.sessions, 'session')}"
