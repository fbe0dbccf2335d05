"""Before anything is trained: what could be shown at all, from the rows alone.

The gate has floors that no model can jump (`locum.trust.gate`): so many held-out sessions, so many verified decisions
worth as many independent ones as its margin asks for. Whether a dataset reaches them is known before the first step.
"""

import math
from collections.abc import Sequence

import msgspec

from locum.evaluation.decisions import decides, decision_label
from locum.evaluation.statistics import effective_rows, zero_loss_rows
from locum.trust.gate import MIN_VERIFIED, PLAN_SESSIONS, session_floor
from locum.types import Row


class FamilyPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What one family's rows could show."""

    family: str
    train_rows: int
    held_out_rows: int
    """Rows of the test split."""
    held_out_sessions: int
    judged: int
    """Held-out rows with a recognisable decision that the log verifies: what the gate counts."""
    judged_sessions: int
    worth: float
    """What these are worth as independent rows, were all of them right. One session alone is worth one row, however
    many it holds: nothing shows that its rows are more. Several sessions can be worth more rows than they are, since
    rows of a session are alike only in part (`evaluation.statistics`)."""
    floor: int
    """Independent rows that the gate needs with not one loss."""
    session_floor: int
    """Held-out sessions that it needs."""
    can_pass: bool
    """Whether a faultless model could pass the gate on these rows."""
    sessions_needed: int | None
    """More held-out sessions until one could; None where it can, or where no number of such sessions would do."""
    recordings_needed: int | None
    """More sessions to record for that, as the split holds sessions out."""
    reason: str


def plan_families(
    train: Sequence[Row], test: Sequence[Row], test_share: float, margin: float = 0.10, alpha: float = 0.05
) -> tuple[FamilyPlan, ...]:
    """What each family could show at best.

    Args:
        train: training rows.
        test: the rows that the gate would count.
        test_share: share of sessions that the split holds out for testing, above 0, at most 1.
        margin: as of `locum.trust.gate.gate`.
        alpha: as of it.
    """
    families = sorted({row.family for row in (*train, *test)})
    floors = zero_loss_rows(margin, alpha), session_floor(margin, alpha)
    return tuple(
        _plan(
            family,
            sum(row.family == family for row in train),
            [row for row in test if row.family == family],
            floors,
            test_share,
        )
        for family in families
    )


def _plan(
    family: str, train_rows: int, held_out: Sequence[Row], floors: tuple[int, int], test_share: float
) -> FamilyPlan:
    floor, least = floors
    decided = [row for row in held_out if decision_label(row.structure, row.response) is not None]
    judged = [row for row in decided if row.tier == "verified"]
    lineages = [row.lineage for row in judged]
    sessions, worth = set(lineages), _worth(lineages)
    verified = len(judged) / len(decided) if decided else 0.0
    can_pass = len(sessions) >= least and worth >= floor and verified >= MIN_VERIFIED
    needed = None if can_pass else _needed(lineages, floors, verified)
    return FamilyPlan(
        family=family,
        train_rows=train_rows,
        held_out_rows=len(held_out),
        held_out_sessions=len({row.lineage for row in held_out}),
        judged=len(judged),
        judged_sessions=len(sessions),
        worth=worth,
        floor=floor,
        session_floor=least,
        can_pass=can_pass,
        sessions_needed=needed,
        recordings_needed=None if needed is None else math.ceil(needed / test_share - 1e-9),
        reason=_reason(family, held_out, decided, judged, can_pass, needed),
    )


def _worth(lineages: Sequence[str]) -> float:
    """What the gate would count these rows for, were all of them right: no worse model could have more of them."""
    return effective_rows([1.0] * len(lineages), lineages) if lineages else 0.0


def _needed(lineages: Sequence[str], floors: tuple[int, int], verified: float) -> int | None:
    floor, least = floors
    sessions = len(set(lineages))
    if sessions == 0 or verified < MIN_VERIFIED:
        return None
    # What a session like these adds: of as many again, since one alone would count as one row and so add nothing.
    again = _worth([*lineages, *(f"again {lineage}" for lineage in lineages)])
    return max(least, math.ceil(floor / (again / (2 * sessions)) - 1e-9)) - sessions


def _reason(
    family: str,
    held_out: Sequence[Row],
    decided: Sequence[Row],
    judged: Sequence[Row],
    can_pass: bool,
    needed: int | None,
) -> str:
    structure = held_out[0].structure if held_out else family
    if not decides(structure):
        return "such responses hold no decision that could be judged: only whether they sound right can be shown"
    if not held_out:
        return "no row of it is held out"
    if not decided:
        return "no held-out response holds a decision that is recognised"
    if can_pass:
        return f"a faultless model could pass; plan for {PLAN_SESSIONS} held-out sessions, at which an equal one would"
    if needed is None:
        share = len(judged) / len(decided)
        return f"the log verifies {share:.0%} of its decisions; the gate needs {MIN_VERIFIED:.0%}, whoever answers"
    return f"not even a faultless model could pass: it would take one about {needed} more held-out sessions"
