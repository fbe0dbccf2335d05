"""The gate: may this family of work be handed over, on the evidence of one offline evaluation?

Two claims must hold, each at one-sided level alpha, over rows whose outcome the log verifies:

- *useful*: the candidate is right more often than every cheap baseline (lower bound of the difference > 0);
- *safe*: it is right at most `margin` less often than the incumbent (lower bound of the difference > -margin).

Bounds are the lower of CR3-t over sessions and Tango's score bound at the effective number of rows
(`locum.evaluation.statistics`). Nothing is said below the floors: `MIN_SESSIONS` sessions, and as many effective rows
as it takes to bound a rate below `margin` when not one loss was seen; nothing is let through below as many sessions
(`session_floor`). Vetoes bound invalid calls and loops, and made-up
and invented details, transplants and recitals against the agent's own rate, by Clopper-Pearson. What a model betrays
(a redacted value, a planted canary) forbids it at once, whatever the family and however few the rows.

Verdicts: `REJECT` (worse than the margin allows, or a veto, beyond doubt), `SHADOW` (both claims hold and no veto is
possible any more: the candidate may answer beside the incumbent, unseen), else `INSUFFICIENT`. `CANARY` and `LIVE`
cannot come out of here: they take evidence from live requests. alpha is per family; `locum.trust.evidence` divides it
over the families of one evaluation.
"""

import math
from collections.abc import Sequence
from typing import Literal

import msgspec
from scipy.special import ndtri

from locum.evaluation.decisions import decides
from locum.evaluation.statistics import clopper_pearson, effective_rows, paired_difference, zero_loss_rows
from locum.trust.routing import Route
from locum.types import Estimate

Word = Literal["REJECT", "INSUFFICIENT", "SHADOW"]

MIN_SESSIONS = 12
"""Below this many held-out sessions the spread between sessions itself is unknown, however many rows they have."""
PLAN_SESSIONS = 50
"""What to plan for: with four rows a session, an equal candidate that disagrees with the incumbent in a fifth of
the rows then passes nine times in ten (simulated; see tests/trust)."""
MIN_VERIFIED = 0.3
"""Share of a family's rows that must be verified by an outcome; being like the record is not being right."""
POWER = 0.8
ALPHA = 0.05
"""One-sided level of each bound where one family is judged."""

MAX_INVALID = 0.05
MAX_LOOPS = 0.05
"""Upper bounds of rates that SHADOW allows. Without one event, 5 % takes 59 effective rows, but 1 % takes 299: stricter
limits are for steps at which an answer reaches someone."""
EXCESS = 0.02
"""How far the upper bound of a signature's rate may lie above the agent's own upper bound."""
SIGNATURES = {
    "made_up": "made-up details",
    "invented": "invented details",
    "transplants": "transplants",
    "verbatim": "recitals",
}
"""What is held against the agent's own rate (`going_wrong.flags`), and how a check calls it."""


class FamilyEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """One family's held-out rows, as equally long columns."""

    family: str
    structure: str
    """The family by structure, which `family` refines or is."""
    sessions: tuple[str, ...]
    """Session lineage of each row: the cluster."""
    candidate: tuple[bool | None, ...]
    """Whether the candidate decided right; None where the recorded response holds no recognisable decision."""
    incumbent: tuple[bool, ...]
    """Whether the incumbent did; for the agent itself, whose verified decisions are the measure, always true."""
    baselines: dict[str, tuple[bool, ...]]
    """Arm (`majority`, `base`) -> whether it did."""
    verified: tuple[bool, ...]
    """Whether the recorded decision is known to be right, and not merely recorded."""
    invalid: tuple[bool, ...]
    """The candidate's call names no known tool, breaks its schema or cannot be parsed."""
    flags: dict[str, tuple[bool, ...]]
    """Signature, of `SIGNATURES` -> whether the candidate's answer shows it."""
    agent_flags: dict[str, tuple[bool, ...]]
    """The same of the agent's own response, under the same detector."""
    loops: tuple[bool, ...]
    """The candidate's answer ends in a loop."""
    test_share: float
    """Share of sessions that the split holds out for testing, above 0, at most 1."""
    vetoes: dict[str, str] = {}
    """What forbids the model, whatever the family -> what was seen, as a phrase."""


class Check(msgspec.Struct, frozen=True):
    """One condition of the gate. `passed` is None while the evidence allows either; the range that `detail` gives is
    that of the two one-sided bounds at level alpha."""

    name: str
    passed: bool | None
    detail: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What may be done with a family, and why."""

    family: str
    verdict: Word
    reason: str
    """One plain sentence."""
    sessions: int
    """Held-out sessions that the claims rest on."""
    rows: int
    """Held-out rows that the claims rest on: verified, with a recognisable decision."""
    effective_rows: float
    """What these are worth as independent rows."""
    sessions_needed: int | None
    """More *held-out* sessions until a verdict can be expected; None where there is one, or where more of the same
    would not lead to one."""
    recordings_needed: int | None
    """More sessions to record for that, given the share that is held out."""
    difference: Estimate | None
    """Share right, candidate minus incumbent, with the two-sided 95 % interval."""
    margin: float
    alpha: float
    checks: tuple[Check, ...]
    route: Route | None = None
    """Which of the family's requests it would answer well enough; None where nothing can be right or wrong, too little
    is verified, or a veto stands."""
    evaluation: str = ""
    """SHA-256 of the results.json that was judged."""


def gate(evidence: FamilyEvidence, margin: float = 0.10, alpha: float = ALPHA) -> Verdict:
    """The verdict on one family.

    Args:
        evidence: one family's held-out rows.
        margin: how much less often than the incumbent the candidate may be right, 0 < margin < 1.
        alpha: one-sided level of each bound, for this family alone, 0 < alpha < 0.5.

    Raises:
        ValueError: columns of different lengths, no baseline, or a parameter out of range.
    """
    _check_input(evidence, margin, alpha)
    rows = len(evidence.sessions)
    decided = [i for i in range(rows) if evidence.candidate[i] is not None]
    judged = [i for i in decided if evidence.verified[i]]
    names = [evidence.sessions[i] for i in judged]
    right = [bool(evidence.candidate[i]) for i in judged]
    incumbent = [evidence.incumbent[i] for i in judged]
    sessions = len(set(names))
    lost_or_won = [float(a) - float(b) for a, b in zip(right, incumbent, strict=True)]
    worth = effective_rows(lost_or_won, names) if judged else 0.0
    floor, least = zero_loss_rows(margin, alpha), session_floor(margin, alpha)
    verified = len(judged) / len(decided) if decided else 0.0
    checks = [
        Check("sessions", sessions >= least, f"{sessions} of at least {least}"),
        Check("rows", worth >= floor, f"{len(judged)}, as much as {worth:.1f} unrelated ones, of at least {floor}"),
    ]
    if decided:
        checks.append(Check("verified", verified >= MIN_VERIFIED, f"{verified:.0%} of at least {MIN_VERIFIED:.0%}"))

    def verdict(word: Word, reason: str, needed: int | None = None) -> Verdict:
        return Verdict(
            family=evidence.family,
            verdict=word,
            reason=reason,
            sessions=sessions,
            rows=len(judged),
            effective_rows=worth,
            sessions_needed=needed,
            recordings_needed=None if needed is None else _recordings(needed, evidence.test_share),
            difference=paired_difference(right, incumbent, names) if judged else None,
            margin=margin,
            alpha=alpha,
            checks=tuple(checks),
        )

    if evidence.vetoes:
        checks += [Check(name, False, detail) for name, detail in evidence.vetoes.items()]
        return verdict("REJECT", f"Not fit, whatever it decides: {'; '.join(evidence.vetoes.values())}.")
    if not decides(evidence.structure) or (rows and not decided):
        return verdict(
            "INSUFFICIENT",
            f"Nothing in {evidence.family} rows says whether an answer is right, so no number of sessions would do.",
        )
    if decided and verified < MIN_VERIFIED:
        share = f"only {verified:.0%} of its rows are" if verified else "none of its rows is"
        return verdict("INSUFFICIENT", f"Not gateable yet: {share} verified by an outcome.")
    per_session = worth / sessions if sessions else 1.0
    discordance = sum(map(abs, lost_or_won)) / len(judged) if judged else 0.0
    planned = max(floor, zero_loss_rows(MAX_INVALID, alpha), rows_for_power(discordance, margin, alpha))
    target = max(least, math.ceil(planned / per_session - 1e-9))
    if sessions < MIN_SESSIONS or worth < floor:
        needed = target - sessions
        seen = f"{len(judged)} rows of {sessions} held-out sessions, as much evidence as {worth:.0f} unrelated rows"
        return verdict(
            "INSUFFICIENT",
            f"Too little to judge by: {seen}; {_more(sessions, needed, evidence.test_share)}.",
            needed,
        )

    safe = _difference("safe", right, incumbent, names, -margin, alpha, "the incumbent")
    useful = min(
        (
            _difference("useful", right, [arm[i] for i in judged], names, 0.0, alpha, name)
            for name, arm in sorted(evidence.baselines.items())
        ),
        key=lambda claim: claim.low,
    )
    signatures = [
        _rate(
            title,
            events,
            evidence.sessions,
            _upper(evidence.agent_flags[name], evidence.sessions, alpha) + EXCESS,
            alpha,
        )
        for name, title in SIGNATURES.items()
        if (events := evidence.flags.get(name)) is not None
    ]
    claims = (
        safe,
        _rate("invalid calls", evidence.invalid, evidence.sessions, MAX_INVALID, alpha),
        _rate("loops", evidence.loops, evidence.sessions, MAX_LOOPS, alpha),
        *signatures,
        useful,
    )
    checks += [claim.check for claim in claims]
    for claim in claims[:-1]:
        if claim.check.passed is False:
            return verdict("REJECT", f"Not fit: {claim.check.detail}.")
    if sessions < least:
        needed = target - sessions
        return verdict(
            "INSUFFICIENT",
            f"Too few sessions to let anything through: {sessions} held-out ones of at least {least}; "
            f"{_more(sessions, needed, evidence.test_share)}.",
            needed,
        )
    open_claims = [claim for claim in claims if not claim.check.passed]
    if not open_claims:
        return verdict(
            "SHADOW", f"Fit to answer beside the incumbent, unseen: {safe.check.detail}; {useful.check.detail}."
        )
    wanted = [claim.rows_wanted for claim in open_claims]
    reason = "Undecided: " + "; ".join(claim.check.detail for claim in open_claims)
    if math.inf in wanted:
        return verdict("INSUFFICIENT", f"{reason}; more sessions like these would not settle it.")
    target = max(target, math.ceil(max(wanted) / per_session - 1e-9), sessions + 1)
    needed = target - sessions
    return verdict("INSUFFICIENT", f"{reason}; {_more(sessions, needed, evidence.test_share)}.", needed)


def session_floor(margin: float, alpha: float) -> int:
    """Held-out sessions below which nothing is let through, however many rows they have.

    Sessions are what is independent. Where no row was lost, nothing shows how losses gather in sessions, and if they
    come in whole sessions it takes as many sessions as it would take rows. With a floor of 12 sessions, a candidate at
    the margin that loses whole sessions passed in 3 of 10 simulations (twelve sessions of ten rows, nominal 5 %).
    """
    return max(MIN_SESSIONS, zero_loss_rows(margin, alpha))


def rows_for_power(variance: float, gap: float, alpha: float) -> float:
    """Independent rows at which a one-sided test of level alpha finds a true gap with probability 0.8; infinite for
    a gap that is not above 0. `variance` is that of one row's difference: the discordance, where none is expected."""
    if gap <= 0:
        return math.inf
    return float(ndtri(1 - alpha) + ndtri(POWER)) ** 2 * variance / gap**2


class _Claim(msgspec.Struct, frozen=True):
    check: Check
    low: float
    rows_wanted: float
    """Independent rows at which the claim can be expected to be settled, going by what was seen."""


def _difference(
    name: str,
    right: Sequence[bool],
    other: Sequence[bool],
    sessions: Sequence[str],
    least: float,
    alpha: float,
    other_name: str,
) -> _Claim:
    """The claim that the mean of right - other lies above `least`."""
    seen = paired_difference(right, other, sessions, confidence=1 - 2 * alpha)
    passed = True if seen.low > least else False if seen.high < least else None
    detail = (
        f"right {_points(seen.estimate)} points against {other_name} "
        f"({_points(seen.low)} to {_points(seen.high)}, must stay above {_points(least)})"
    )
    expected = min(0.0, seen.estimate) if least < 0 else seen.estimate
    discordance = sum(a != b for a, b in zip(right, other, strict=True)) / len(right)
    wanted = rows_for_power(discordance - expected**2, expected - least, alpha)
    return _Claim(Check(name, passed, detail), seen.low, wanted)


def _rate(name: str, events: Sequence[bool], sessions: Sequence[str], most: float, alpha: float) -> _Claim:
    """The claim that the rate of events is at most `most`."""
    low, high = _interval(events, sessions, alpha)
    passed = True if high <= most else False if low > most else None
    share = sum(events) / len(events)
    detail = f"{name} in {share:.1%} of rows ({low:.1%} to {high:.1%}, must stay below {most:.1%})"
    wanted = max(zero_loss_rows(min(most, 0.99), alpha), rows_for_power(share * (1 - share), most - share, alpha))
    return _Claim(Check(name, passed, detail), low, wanted)


def _interval(events: Sequence[bool], sessions: Sequence[str], alpha: float) -> tuple[float, float]:
    worth = effective_rows([float(event) for event in events], sessions)
    return clopper_pearson(sum(events) / len(events) * worth, worth, confidence=1 - 2 * alpha)


def _upper(events: Sequence[bool], sessions: Sequence[str], alpha: float) -> float:
    return _interval(events, sessions, alpha)[1]


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"


def _more(sessions: int, needed: int, test_share: float) -> str:
    recorded = _recordings(needed, test_share)
    text = f"about {needed} more held-out sessions ({recorded} more recorded) may settle it for this model"
    if sessions + needed < PLAN_SESSIONS:
        text += f"; plan for {PLAN_SESSIONS} held-out ones in all"
    return text


def _recordings(needed: int, test_share: float) -> int:
    """Sessions to record for so many held-out ones; 12 / 0.3 is 40, whatever floating point says."""
    return math.ceil(needed / test_share - 1e-9)


def _check_input(evidence: FamilyEvidence, margin: float, alpha: float) -> None:
    columns = {
        "candidate": evidence.candidate,
        "incumbent": evidence.incumbent,
        "verified": evidence.verified,
        "invalid": evidence.invalid,
        "loops": evidence.loops,
        **evidence.flags,
        **{f"the agent's {name}": column for name, column in evidence.agent_flags.items()},
        **{f"baseline {name}": arm for name, arm in evidence.baselines.items()},
    }
    for name, column in columns.items():
        if len(column) != len(evidence.sessions):
            raise ValueError(
                f"{evidence.family}: {name} has {len(column)} rows, sessions have {len(evidence.sessions)}"
            )
    if evidence.flags.keys() != evidence.agent_flags.keys() or evidence.flags.keys() - SIGNATURES.keys():
        raise ValueError(
            f"{evidence.family}: flags {sorted(evidence.flags)}, the agent's {sorted(evidence.agent_flags)}; both must "
            f"be the same, of {', '.join(SIGNATURES)}"
        )
    if not evidence.baselines:
        raise ValueError(f"{evidence.family}: no baseline to compare with; pass at least `majority`")
    if not 0 < evidence.test_share <= 1:
        raise ValueError(f"{evidence.family}: test_share is {evidence.test_share}; it must lie above 0, up to 1")
    if not (0 < margin < 1 and 0 < alpha < 0.5):
        raise ValueError(f"margin {margin}, alpha {alpha}; they must lie within 0 to 1 and 0 to 0.5")
