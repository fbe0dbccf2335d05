"""Partial scores, balanced accuracy and tiers, on answers whose figures are known beforehand."""

import math

import pytest
from answer_samples import decision_rows, samples_of, silent
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from small_models import row, says, user

from locum.evaluation.competence import competence, tiers
from locum.evaluation.partial import Partial, partial
from locum.types import Estimate, Message, Row, ToolCall, Undefined


def call(name: str, **arguments: object) -> ToolCall:
    return ToolCall(id="x", name=name, arguments=arguments)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([call("ship", id="1.5", path="a/b", n=1)], Partial(1, 1, 1)),
        ([call("ship", id="15", path="ab", n=1)], Partial(1, 1, 1 / 3)),
        ([call("ship", id=1.5, path="a/b", n="1")], Partial(1, 1, 1 / 3)),
        ([call("ship", id="1.5")], Partial(1, 0.5, 0.5)),
        ([call("ship", id="1.5", path="a/b", n=1, more=True)], Partial(1, 6 / 7, 6 / 7)),
        ([call("hold", id="1.5", path="a/b", n=1)], Partial(0, 0, 0)),
        ([], Partial(0, 0, 0)),
        ([call("ship", id="1.5", path="a/b", n=1)] * 2, Partial(2 / 3, 2 / 3, 2 / 3)),
    ],
)
def test_partial_scores(answer: list[ToolCall], expected: Partial) -> None:
    found = partial(answer, [call("ship", id="1.5", path="a/b", n=1.0)])
    assert (found.name, found.keys, found.values) == pytest.approx((expected.name, expected.keys, expected.values))


calls = st.lists(
    st.builds(call, st.sampled_from("ab"), x=st.integers(0, 1), y=st.sampled_from(["1.5", "15"])),
    min_size=1,
    max_size=3,
)


@given(calls, calls)
def test_partial_scores_are_shares_and_whole_only_for_the_same(a: list[ToolCall], b: list[ToolCall]) -> None:
    found = partial(a, b)
    assert 0 <= found.values <= found.keys <= 1
    assert 0 <= found.name <= 1
    assert partial(b, b) == Partial(1, 1, 1)


def test_calls_without_arguments() -> None:
    assert partial([call("wait")], [call("wait")]) == Partial(1, 1, 1)
    assert partial([call("hold")], [call("wait")]) == Partial(0, 0, 0)


def test_a_right_call_has_all_its_arguments_even_where_a_default_is_left_out() -> None:
    schema = {"type": "object", "properties": {"id": {"type": "string"}, "days": {"type": "integer", "default": 3}}}
    tools = ({"type": "function", "function": {"name": "lookup", "parameters": schema}},)
    rows = [
        row(
            user(str(i)), says("", call("lookup", id="W", days=3)), session=f"s{i}", family="tool_decision", tools=tools
        )
        for i in range(3)
    ]
    found = competence(samples_of(rows, lambda r: says("", call("lookup", id="W")), silent, [])).measures
    assert {name: arms["tuned"].estimate for name, arms in found["tool_decision"].items()} == {
        "right_tool": 1, "argument_keys": 1, "argument_values": 1, "exact_call": 1,
    }  # fmt: skip


REVIEW = {"approve": "LGTM.", "request_changes": "Needs changes."}


def reviews(approved: int, refused: int, lineages: int = 100) -> list[Row]:
    texts = [REVIEW["approve"]] * approved + [REVIEW["request_changes"]] * refused
    return [
        row(user(f"diff {i}"), says(text), session=f"s{i % lineages}", family="code_review")
        for i, text in enumerate(texts)
    ]


def test_always_approving_is_worth_no_more_than_chance() -> None:
    found = competence(samples_of(reviews(18, 2), lambda r: says("LGTM."), silent, reviews(9, 1)))
    arms = found.measures["code_review"]
    assert arms["verdict"]["tuned"].estimate == pytest.approx(0.9)
    assert arms["verdict_balanced"]["tuned"].estimate == pytest.approx(0.5)
    assert arms["verdict_balanced"]["majority"].estimate == pytest.approx(0.5)
    assert found.undefined == {}


def test_balanced_accuracy_that_there_is_not() -> None:
    one = competence(samples_of(reviews(9, 0), lambda r: r.response, silent, []))
    assert one.measures["code_review"]["verdict_balanced"] == {}
    assert one.undefined["code_review/verdict_balanced/tuned"] == Undefined(
        "undefined", "the agent always decided 'approve'"
    )
    hanging = competence(samples_of(reviews(9, 1), lambda r: r.response, silent, []))
    assert "hangs on one session" in hanging.undefined["code_review/verdict_balanced/tuned"].why
    session = competence(samples_of(reviews(9, 9, lineages=1), lambda r: r.response, silent, []))
    assert session.undefined["code_review/verdict_balanced/tuned"].kind == "too_few"


def test_figures_know_how_much_of_them_is_verified() -> None:
    rows = [
        *decision_rows("reply", 3, tier="verified"),
        *decision_rows("reply", 2, tier="recorded", name="r"),
    ]
    samples = samples_of(rows, lambda r: r.response, silent, [])
    assert tiers(samples) == {"reply": {"verified": 12, "recorded": 8}}
    tuned = competence(samples).measures["reply"]["stance"]["tuned"]
    assert (tuned.rows, tuned.sessions, tuned.verified) == (20, 5, 12)
    assert tuned.least is not None
    assert 0 < tuned.least < 1
    assert math.isfinite(tuned.least)


def test_an_arm_that_did_not_answer_every_row_takes_no_part() -> None:
    samples = samples_of(decision_rows("tool_decision", 3), lambda r: r.response, silent, [])
    partly = [replace(sample, others={}) if at == 0 else sample for at, sample in enumerate(samples)]
    assert "knn" in competence(samples).measures["tool_decision"]["exact_call"]
    assert "knn" not in competence(partly).measures["tool_decision"]["exact_call"]


def test_the_wrong_argument_is_not_the_exact_call() -> None:
    rows = decision_rows("tool_decision", 3)

    def wrong(row: Row) -> Message:
        return says("", call(row.response.tool_calls[0].name, id="W-1.5"))

    arms = competence(samples_of(rows, wrong, silent, [])).measures["tool_decision"]
    assert [isinstance(arms[name]["tuned"], Estimate) for name in arms] == [True] * 4
    assert (arms["right_tool"]["tuned"].estimate, arms["argument_keys"]["tuned"].estimate) == (1, 1)
    assert (arms["argument_values"]["tuned"].estimate, arms["exact_call"]["tuned"].estimate) == (0, 0)
