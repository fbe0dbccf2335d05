"""The plan says before training what the gate will say after it."""

import pytest

from locum.evaluation.statistics import effective_rows
from locum.trust.gate import FamilyEvidence, gate
from locum.trust.plan import FamilyPlan, plan_families
from locum.types import Message, Row, Tier, ToolCall


def rows(sessions: int, each: int, tier: Tier = "verified", family: str = "tool_decision") -> list[Row]:
    call = ToolCall(id="c", name="look", arguments={})
    said = {
        "tool_decision": Message(role="assistant", tool_calls=(call,)),
        "post": Message(role="assistant", content="A day."),
    }
    return [
        Row(
            id=f"{family}{session}/{turn}",
            session=f"s{session}",
            lineage=f"s{session}",
            turn=turn,
            family=family,
            messages=(Message(role="user", content="?"), said[family]),
            tier=tier,
        )
        for session in range(sessions)
        for turn in range(each)
    ]


def plan(test: list[Row]) -> FamilyPlan:
    (found,) = plan_families(rows(3, 2, family=test[0].family), test, 0.2)
    return found


def faultless(test: list[Row]) -> str:
    right = tuple(True for _ in test)
    wrong = tuple(False for _ in test)
    evidence = FamilyEvidence(
        family="tool_decision",
        structure="tool_decision",
        sessions=tuple(row.lineage for row in test),
        candidate=right,
        incumbent=right,
        baselines={"majority": wrong},
        verified=right,
        invalid=wrong,
        flags={},
        agent_flags={},
        loops=wrong,
        test_share=0.2,
    )
    return gate(evidence).verdict


@pytest.mark.parametrize(
    ("sessions", "each"), [(1, 1), (1, 40), (3, 1), (11, 10), (12, 2), (12, 4), (30, 1), (40, 4), (60, 2)]
)
def test_it_promises_no_verdict_that_a_faultless_model_would_not_get(sessions: int, each: int) -> None:
    test = rows(sessions, each)
    if faultless(test) == "SHADOW":
        assert plan(test).can_pass
    if not plan(test).can_pass:
        assert faultless(test) == "INSUFFICIENT"


@pytest.mark.parametrize(("sessions", "each"), [(1, 1), (1, 40), (3, 1), (11, 10), (12, 2), (5, 4)])
def test_with_the_sessions_that_it_asks_for_one_could_pass(sessions: int, each: int) -> None:
    found = plan(rows(sessions, each))
    assert not found.can_pass
    assert found.sessions_needed is not None
    assert plan(rows(sessions + found.sessions_needed, each)).can_pass
    assert not plan(rows(sessions + found.sessions_needed - 1, each)).can_pass
    assert found.recordings_needed == found.sessions_needed * 5
    assert f"faultless model could pass: it would take one about {found.sessions_needed} more" in found.reason


@pytest.mark.parametrize(("sessions", "each"), [(1, 1), (1, 40), (2, 20), (12, 4), (60, 2)])
def test_rows_are_worth_what_the_gate_counts_them_for(sessions: int, each: int) -> None:
    test = rows(sessions, each)
    assert plan(test).worth == effective_rows([0.0] * len(test), [row.lineage for row in test])
    if sessions == 1:
        assert plan(test).worth == 1


def test_no_number_of_unverified_sessions_would_do() -> None:
    found = plan(rows(40, 4, tier="recorded"))
    assert (found.can_pass, found.sessions_needed) == (False, None)
    assert "the log verifies 0%" in found.reason


def test_what_holds_no_decision_cannot_be_judged() -> None:
    found = plan(rows(40, 1, family="post"))
    assert not found.can_pass
    assert "only whether they sound right" in found.reason


def test_a_family_that_is_not_held_out_says_so() -> None:
    (found,) = plan_families(rows(3, 2), [], 0.2)
    assert found.reason == "no row of it is held out"
    assert found.train_rows == 6
