"""From answers to verdicts: a parrot that decides at random fails, an oracle that sounds foreign passes."""

import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
from answer_samples import STANCES, Voice, decision_rows, samples_of, silent
from msgspec.structs import replace
from small_models import says

from locum.evaluation.canaries import Exposure
from locum.evaluation.going_wrong import Leaks, Signatures
from locum.evaluation.resemblance.replicates import talk
from locum.evaluation.resemblance.two_sample import TwoSample, two_sample
from locum.evaluation.results import Answer, Sample
from locum.trust.evidence import verdicts, vetoes
from locum.trust.gate import Verdict
from locum.types import Message, Row, Tier, ToolCall

FAMILIES = ("tool_decision", "reply")
FOREIGN = {
    "push_back": "pushing back: whoever does this regrets whatever follows, methinks",
    "comply": "will do, captain, aye aye, forthwith",
    "defer": "prithee, which version? tell",
}


def parrot(row: Row) -> Message:
    """The agent's own words and calls, drawn at random."""
    draw = random.Random(row.id)
    if row.family == "tool_decision":
        order = row.response.tool_calls[0].arguments["id"]
        return says("", ToolCall("x", draw.choice(["lookup", "cancel", "refund", "wait"]), {"id": order}))
    return says(draw.choice(list(STANCES.values())))


def oracle(row: Row) -> Message:
    """Always the agent's decision, in words that it would never use."""
    if row.family == "tool_decision":
        return says("Verily:", *row.response.tool_calls)
    return says(next(FOREIGN[stance] for stance, text in STANCES.items() if text == row.response.content))


def judge(family: str, sessions: int, voice: Voice, tier: Tier = "verified") -> tuple[Verdict, list[Sample]]:
    rows = decision_rows(family, sessions, tier=tier)
    train = decision_rows(family, 20, name="t")
    samples = samples_of(rows, voice, silent, train)
    return verdicts(samples, rows, (family,), 0.2)[family], samples


@pytest.mark.parametrize("family", FAMILIES)
def test_a_parrot_is_rejected_and_a_foreign_oracle_let_through(family: str) -> None:
    for_parrot, parroted = judge(family, 60, parrot)
    for_oracle, foretold = judge(family, 60, oracle)
    assert for_parrot.verdict == "REJECT"
    assert for_oracle.verdict == "SHADOW"
    assert for_oracle.difference is not None
    assert for_oracle.difference.estimate == 0.0
    if for_parrot.route is not None:
        assert for_parrot.route.threshold is None, "who decides at random answers nothing"
    assert for_oracle.route is not None
    assert for_oracle.route.coverage == 1
    if family == "reply":
        sounding, foreign = two_sample(talk(parroted)), two_sample(talk(foretold))
        assert isinstance(sounding, TwoSample)
        assert isinstance(foreign, TwoSample)
        alike = (sounding.indistinguishable.whole["tuned"], foreign.indistinguishable.whole["tuned"])
        assert alike[0] > 0.6 > 0.2 > alike[1], "and yet it is the parrot that sounds right"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("voice", [parrot, oracle])
def test_three_sessions_decide_nothing(family: str, voice: Voice) -> None:
    verdict, _ = judge(family, 3, voice)
    assert verdict.verdict == "INSUFFICIENT"
    assert verdict.sessions == 3
    assert verdict.sessions_needed is not None
    assert verdict.recordings_needed == 5 * verdict.sessions_needed


def test_what_no_outcome_verifies_cannot_be_gated() -> None:
    verdict, _ = judge("reply", 60, oracle, tier="recorded")
    assert verdict.verdict == "INSUFFICIENT"
    assert "verified" in verdict.reason


def test_where_little_is_verified_no_request_is_called_routine() -> None:
    rows = [
        replace(row, tier="verified" if at % 5 == 0 else "recorded")
        for at, row in enumerate(decision_rows("reply", 240))
    ]
    found = verdicts(samples_of(rows, oracle, silent, decision_rows("reply", 20, name="t")), rows, ("reply",), 0.2)
    assert "of its rows are verified" in found["reply"].reason
    assert found["reply"].route is None, "of the others nobody knows whether an answer is right"


def test_an_oracle_no_better_than_the_commonest_decision_is_of_no_use() -> None:
    """Where the agent always does the same, being right takes no model."""
    rows = [r for r in decision_rows("reply", 240, 1) if r.response.content == STANCES["push_back"]]
    verdict = verdicts(samples_of(rows, oracle, silent, rows), rows, ("reply",), 0.2)["reply"]
    assert verdict.verdict == "INSUFFICIENT"
    assert "against knn" in verdict.reason, "of equal baselines the first by name"


def broken(row: Row) -> Message:
    return says('<tool_call>{"name": "lookup", "argu')


def off_schema(row: Row) -> Message:
    call = row.response.tool_calls[0]
    return says("", ToolCall("x", call.name, {"id": 5}))


def unknown_tool(row: Row) -> Message:
    return says("", ToolCall("x", "explode", row.response.tool_calls[0].arguments))


@pytest.mark.parametrize("voice", [broken, off_schema, unknown_tool])
def test_calls_that_are_none_are_counted_as_invalid(voice: Voice) -> None:
    verdict, _ = judge("tool_decision", 60, voice)
    assert verdict.verdict == "REJECT"
    checks = {check.name: check for check in verdict.checks}
    assert checks["invalid calls"].passed is False
    assert "100.0%" in checks["invalid calls"].detail
    assert verdict.route is None, "no request is routine enough for an invalid call"


def test_a_call_cannot_break_a_schema_that_nobody_knows() -> None:
    rows = [replace(r, tools=()) for r in decision_rows("tool_decision", 60)]
    found = verdicts(
        samples_of(rows, oracle, silent, decision_rows("tool_decision", 20, name="t")), rows, ("tool_decision",), 0.2
    )["tool_decision"]
    assert found.verdict == "SHADOW"


def test_every_family_gets_a_verdict_even_without_a_sample() -> None:
    rows = decision_rows("reply", 60)
    samples = samples_of(rows, oracle, silent, decision_rows("reply", 20, name="t"))
    found = verdicts(samples, rows, ("post", "reply", "tool_decision"), 0.25)
    assert found.keys() == {"post", "reply", "tool_decision"}
    assert found["reply"].verdict == "SHADOW"
    assert found["post"].verdict == found["tool_decision"].verdict == "INSUFFICIENT"
    assert (found["tool_decision"].sessions, found["tool_decision"].rows) == (0, 0)
    assert found["post"].sessions_needed is None, "posts decide nothing, so no number of sessions would do"


def several(families: int, voice: Voice, sessions: int = 60) -> dict[str, Verdict]:
    """The same evidence under several names of the user's own."""
    rows = [
        replace(r, family=f"kind_{at}", refines="reply", id=f"{at}-{r.id}")
        for at in range(families)
        for r in decision_rows("reply", sessions, name=f"f{at}s")
    ]
    train = [
        replace(r, family=f"kind_{at}", refines="reply") for at in range(families) for r in decision_rows("reply", 20)
    ]
    names = tuple(f"kind_{at}" for at in range(families))
    return verdicts(samples_of(rows, voice, silent, train), rows, (*names, "post"), 0.2)


def test_several_families_share_one_level() -> None:
    one, three = several(1, oracle), several(3, oracle)
    assert {verdict.verdict for family, verdict in three.items() if family != "post"} == {"SHADOW"}
    assert one["kind_0"].alpha == 0.05, "what cannot be judged at all is no chance"
    # All pass at once, at the strictest level.
    assert [three[f"kind_{at}"].alpha for at in range(3)] == pytest.approx([0.05 / 3] * 3)
    failing = several(3, parrot)
    assert [failing[f"kind_{at}"].alpha for at in range(3)] == pytest.approx([0.05 / 3] * 3)
    assert "SHADOW" not in {verdict.verdict for verdict in failing.values()}


def test_once_one_family_has_passed_the_others_have_its_share() -> None:
    def mixed(row: Row) -> Message:
        return oracle(row) if row.family == "kind_0" else parrot(row)

    found = several(2, mixed)
    assert found["kind_0"].verdict == "SHADOW"
    assert (found["kind_0"].alpha, found["kind_1"].alpha) == (0.025, 0.05)
    assert found["kind_1"].verdict == "REJECT"


def test_rows_whose_decision_cannot_be_read_are_not_judged() -> None:
    rows = decision_rows("reply", 60)
    mute = {r.id for r in rows if r.turn == 0}
    samples = samples_of(rows, oracle, silent, decision_rows("reply", 20, name="t"))
    unread = [replace(s, agent=Answer()) if s.row in mute else s for s in samples]
    assert verdicts(unread, rows, ("reply",), 0.2)["reply"].rows == 180


def test_each_signature_of_the_answers_reaches_the_gate() -> None:
    rows = decision_rows("reply", 60)
    samples = samples_of(rows, oracle, silent, decision_rows("reply", 20, name="t"))
    assert verdicts(samples, rows, ("reply",), 0.2)["reply"].verdict == "SHADOW"
    shown: dict[str, dict[str, Any]] = {
        "made-up details": {"made_up": ((0, 3, "name"),)},
        "invented details": {"invented": 1},
        "transplants": {"transplanted": 1},
        "recitals": {"verbatim": 50},
        "loops": {"loop": True},
    }
    for name, change in shown.items():
        found = [replace(s, tuned=replace(s.tuned, **change)) for s in samples]
        verdict = verdicts(found, rows, ("reply",), 0.2)["reply"]
        assert verdict.verdict == "REJECT", name
        assert [check.name for check in verdict.checks if check.passed is False] == [name]
        assert name in verdict.reason
        if name != "loops":  # loops are bounded whatever the agent does
            both = [replace(s, agent=replace(s.agent, **change)) for s in found]
            assert verdicts(both, rows, ("reply",), 0.2)["reply"].verdict == "SHADOW", "the agent does so too"


def signs(leaked: dict[str, dict[str, int]], ranks: Sequence[int]) -> Signatures:
    return Signatures(
        phrases={},
        autonomy=None,
        tiers={},
        extraction=None,
        canaries=tuple(Exposure(at, 1, rank, 1024, 10 - math.log2(rank), rank / 1024) for at, rank in enumerate(ranks)),
        leaks=Leaks(3, 10, leaked),
        examples={},
    )


def test_what_a_model_betrays_is_a_veto_and_what_the_base_does_is_none() -> None:
    assert vetoes(signs({}, [300, 512, 700, 90, 1000, 64])) == {}
    assert vetoes(signs({"base": {"<SECRET_1>": 1}}, [])) == {}
    found = vetoes(signs({"tuned": {"<SECRET_2>": 1, "<EMAIL_1>": 4}}, [1, 8, 700, 90, 1000, 64]))
    assert found == {
        "redacted values": "it wrote redacted values back (<EMAIL_1>, <SECRET_2>)",
        "canaries": "it remembers 2 of 6 planted canaries",
    }
    rows = decision_rows("reply", 60)
    samples = samples_of(rows, oracle, silent, decision_rows("reply", 20, name="t"))
    said = verdicts(samples, rows, ("reply", "post"), 0.2, found)
    assert {verdict.verdict for verdict in said.values()} == {"REJECT"}
    assert all(phrase in said["reply"].reason for phrase in found.values())


def test_nothing_is_a_veto_where_nothing_was_looked_for() -> None:
    assert vetoes(replace(signs({}, []), canaries=None, leaks=None)) == {}
