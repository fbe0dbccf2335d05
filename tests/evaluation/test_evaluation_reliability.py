"""Decisions drawn several times: the estimator of tau-bench, and what draws agree in."""

from itertools import product

import pytest
from answer_samples import STANCES, decision_rows, samples_of, silent
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from small_models import says

from locum.evaluation.answers import read_answer
from locum.evaluation.reliability import pass_k, reliability
from locum.types import Message, ToolCall


@given(st.integers(1, 7), st.floats(0.0, 1.0), st.data())
def test_pass_k_is_unbiased(draws: int, chance: float, data: st.DataObject) -> None:
    """Over every outcome of n draws, weighted by its probability, it comes to p^k."""
    k = data.draw(st.integers(1, draws))
    expected = 0.0
    for outcome in product((True, False), repeat=draws):
        right = sum(outcome)
        expected += chance**right * (1 - chance) ** (draws - right) * pass_k(right, draws, k)
    assert expected == pytest.approx(chance**k, abs=1e-9)


def test_pass_k_at_its_ends() -> None:
    assert [pass_k(right, 4, 4) for right in range(5)] == [0, 0, 0, 0, 1]
    assert [pass_k(2, 4, k) for k in (1, 2, 3)] == pytest.approx([1 / 2, 1 / 6, 0])


def drawn(family: str, said: list[Message]) -> dict[str, float]:
    """The figures of one decision, drawn as often as there are answers."""
    rows = decision_rows(family, 1, 1)
    sample = samples_of(rows, silent, silent, [])[0]
    answers = tuple(read_answer(rows[0], m.content, m.tool_calls, "stop", frozenset()) for m in said)
    found = reliability([replace(sample, draws=answers)])
    return {name: arms["tuned"].estimate for name, arms in found.get(family, {}).items()}


def test_calls_agree_by_tool_and_arguments() -> None:
    right = decision_rows("tool_decision", 1, 1)[0].response.tool_calls[0]
    other = ToolCall("x", right.name, {"id": "W-1"})
    found = drawn("tool_decision", [says("", right), says("", other), says("", other), says("", right)])
    assert found == pytest.approx({"pass^1": 1 / 2, "pass^2": 1 / 6, "pass^3": 0, "pass^4": 0, "agreement": 2 / 6})
    assert drawn("tool_decision", [says("Hm."), says("Hm.")])["agreement"] == 0.0, "no decision is no agreement"


def test_replies_agree_by_stance() -> None:
    words = [STANCES["push_back"], "I disagree, and would advise against it.", STANCES["comply"], "Hm."]
    found = drawn("reply", [says(text) for text in words])
    assert found["agreement"] == pytest.approx(1 / 6)


def test_one_draw_says_nothing_of_reliability() -> None:
    assert drawn("reply", [says(STANCES["comply"])]) == {} == drawn("reply", [])
