"""What is asked of a model, and that every line of the table is what a hand computation gives."""

import numpy as np
import polars as pl
import pytest
import torch
from answer_samples import decision_rows
from small_models import says, user

from locum.dataset.contrast import Contrast
from locum.evaluation import nll
from locum.evaluation.contrast_checks import contrast_sets
from locum.evaluation.decision_slots import decision_of
from locum.evaluation.donors import match_donors
from locum.evaluation.gains import gains
from locum.evaluation.losses import own_losses, plan_rows
from locum.evaluation.scoring import Plan, Scores
from locum.evaluation.token_classes import CLASSES
from locum.runtime.scorer import Scorer
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.device import Device

pytestmark = pytest.mark.usefixtures("float32")
TEST = [*decision_rows("tool_decision", 5, 3, name="t"), *decision_rows("reply", 5, 3, name="r")]
TRAIN = [*decision_rows("tool_decision", 6, name="u"), *decision_rows("reply", 6, name="v")]
CORRECTED = Contrast(
    id="c",
    session="q",
    lineage="q",
    turn=0,
    reason="corrected",
    family="reply",
    prompt=(user("Please drop the table."),),
    rejected=says("Done. It is in."),
    replacement=says("I would advise against it. It breaks the rest."),
    split="test",
)


@pytest.fixture(scope="module")
def plan(tiny_renderer: Renderer) -> Plan:
    encoded = {row.id: tiny_renderer.encode(row) for row in TEST}
    return plan_rows(TEST, encoded, TRAIN, [CORRECTED], tiny_renderer)


@pytest.fixture(scope="module")
def scorer(tiny_base: Base) -> Scorer:
    return Scorer(None, tiny_base.folder, Device("cpu", "float32"))


@pytest.fixture(scope="module")
def scores(plan: Plan, scorer: Scorer) -> Scores:
    return plan.score(scorer, arm="base", model="m")


def log_probability(scorer: Scorer, before: list[int], after: list[int]) -> float:
    """By hand: one token after the other."""
    total = 0.0
    for token in after:
        total += float(scorer.next_log_probabilities(before)[token])
        before = [*before, token]
    return total


def test_every_response_in_every_context(plan: Plan, scores: Scores, scorer: Scorer) -> None:
    assert scores.table.schema == pl.DataFrame(schema=nll.SCHEMA).schema
    contexts = {"own", "none", "other_1", "other_2", "other_3", "other_4"}
    for planned in plan.rows:
        mine = scores.table.filter(pl.col("row") == planned.row.id)
        assert set(mine["context"].to_list()) == contexts
        assert len(mine) == len(contexts) * len(planned.answer)
    planned = plan.rows[1]
    donors = {plan.rows[index].row.id: plan.rows[index] for index in planned.donors}
    mine = scores.table.filter((pl.col("row") == planned.row.id) & (pl.col("context") == "other_2"))
    (donor,) = set(mine["donor"].to_list())
    assert donor in donors
    assert donors[donor].row.lineage != planned.row.lineage
    assert donors[donor].row.family == planned.row.family
    by_hand = -log_probability(scorer, donors[donor].prompt, planned.answer)
    assert float(mine["loss"].cast(pl.Float64).sum()) == pytest.approx(by_hand, abs=1e-3)
    assert mine["token"].to_list() == planned.answer
    assert [planned.response.text[s:e] for s, e in zip(mine["start"], mine["end"], strict=True)]


def test_classes_add_up_to_the_total(scores: Scores) -> None:
    own = scores.table.filter(pl.col("context") == "own").with_columns(pl.col("loss").cast(pl.Float64))
    assert set(own["class"].to_list()) <= set(CLASSES)
    assert {"template", "json_syntax", "tool_name", "argument_key", "argument_copied", "verdict"} <= set(own["class"])
    by_class = own.group_by("class").agg(pl.col("loss").sum())
    assert float(by_class["loss"].sum()) == pytest.approx(float(own["loss"].sum()), abs=1e-6)
    losses = own_losses(scores.table, "base", TEST)
    assert float(np.concatenate(losses).sum(dtype=np.float64)) == pytest.approx(float(own["loss"].sum()), rel=1e-6)


@pytest.mark.parametrize("index", [0, 16])
def test_format_and_choice_are_the_options_whole_probabilities(
    index: int, plan: Plan, scores: Scores, scorer: Scorer
) -> None:
    planned = plan.rows[index]
    slot = planned.slot
    assert slot is not None
    if planned.row.family == "tool_decision":
        assert slot.labels == ["cancel", "lookup", "refund", "wait"], "all tools in force"
    assert slot.label == decision_of(planned.row)
    before = planned.prompt + planned.answer[: slot.start]
    whole = dict.fromkeys(slot.labels, 0.0)
    for option in slot.options:
        whole[option.label] += float(np.exp(log_probability(scorer, before, list(option.tokens))))
    (line,) = scores.table.filter((pl.col("row") == planned.row.id) & pl.col("choice").is_not_null()).to_dicts()
    assert (line["position"], line["context"], line["decision"]) == (slot.start, "own", slot.label)
    assert line["format"] == pytest.approx(-np.log(sum(whole.values())), abs=1e-3)
    assert line["choice"] == pytest.approx(-np.log(whole[slot.label] / sum(whole.values())), abs=1e-3)
    assert line["hit"] == (max(whole, key=whole.__getitem__) == slot.label)
    own = slot.options[0]
    assert list(own.tokens) == planned.answer[slot.start : slot.end]
    for option in slot.options:
        others = [other.tokens for other in slot.options if other is not option]
        assert not any(other[: len(option.tokens)] == option.tokens for other in others), "no option begins another"


def test_questions_differ_in_the_decision_alone(plan: Plan, scores: Scores) -> None:
    kinds = {question.kind for question in plan.questions}
    assert {"context_swap", "correction", "flipped_decision", "swapped_tool"} <= kinds
    for question in plan.questions:
        (right, *_), (wrong, *_), donor_right, donor_wrong = question.sides
        assert question.right_text != question.wrong_text
        if question.kind in ("flipped_decision", "swapped_tool", "correction"):
            assert right.tokens[: right.response_start] == wrong.tokens[: wrong.response_start]
            assert right.tokens[right.response_start :] != wrong.tokens[wrong.response_start :]
        assert len(donor_right) == len(donor_wrong)
    balanced = [q for q in plan.questions if q.kind == "swapped_tool"]
    assert sorted(q.right_text for q in balanced) == sorted(q.wrong_text for q in balanced), "no tool is mostly right"
    assert len(scores.questions) == len(plan.questions)
    both = pl.concat([scores.questions, scores.questions.with_columns(arm=pl.lit("tuned").cast(pl.Categorical))])
    found = contrast_sets(both)
    assert found.keys() == kinds
    for kind in kinds:
        assert found[kind].right["tuned-base"].estimate == 0.0
        assert 0 <= found[kind].right["tuned"].estimate <= 1


def test_a_checkpoint_needs_its_own_context_alone(plan: Plan, scorer: Scorer) -> None:
    found = plan.score(scorer, arm="tuned", model="m", step=7, contexts="own")
    assert set(found.table["context"].to_list()) == {"own"}
    assert set(found.table["step"].to_list()) == {7}
    assert found.questions.is_empty()
    assert gains(found.table) is None


def test_donors_are_near_and_of_other_lineages() -> None:
    rows = decision_rows("reply", 6, 2)
    lengths = [10 * number for number in range(12)]
    found = match_donors(rows, lengths)
    assert found.keys() == set(range(12))
    for index, donors in found.items():
        lineages = [rows[donor].lineage for donor in donors]
        assert len(set(lineages)) == 4
        assert rows[index].lineage not in lineages
    assert match_donors(rows[:4], lengths[:4]) == {}, "too few"


def test_shared_prompts_are_computed_once(plan: Plan, tiny_base: Base) -> None:
    with Scorer(None, tiny_base.folder, Device("cpu", "float32")) as fresh:
        plan.score(fresh, arm="base", model="m")
        prompts = sum(len(planned.prompt) for planned in plan.rows)
        answers = sum(len(planned.answer) for planned in plan.rows)
        assert fresh.tokens_computed < prompts + 12 * answers < 6 * (prompts + answers)
    assert torch.is_grad_enabled()
