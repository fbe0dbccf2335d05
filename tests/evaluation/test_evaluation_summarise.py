"""Every figure of an evaluation, on samples whose figures are known beforehand."""

import msgspec
import numpy as np
import pytest
from answer_samples import STANCES, TOOLS, decision_rows, samples_of, silent
from small_models import row, says, user

from locum.evaluation import going_wrong, summarise
from locum.evaluation.answers import inventory_of, read_answer, spoken
from locum.evaluation.competence import competence, majority_labels
from locum.evaluation.results import Arms
from locum.types import Message, Row, ToolCall


def call(name: str, order: str) -> Message:
    return says("", ToolCall(id="x", name=name, arguments={"id": order}))


def estimates(arms: Arms) -> dict[str, float]:
    return {arm: round(found.estimate, 6) for arm, found in arms.items()}


# --- loss


def test_loss_is_the_mean_over_tokens_and_the_drop_is_paired() -> None:
    rows = [row(user(str(i)), says("."), session=f"s{i}") for i in range(3)]
    base = [np.array([4.0, 2.0], np.float32), np.array([3.0], np.float32), np.array([1.0, 1.0, 1.0], np.float32)]
    tuned = [np.array([1.0, 1.0], np.float32), np.array([3.0], np.float32), np.array([0.5, 0.5, 0.5], np.float32)]
    found = summarise.loss_arms(rows, base, tuned)
    assert estimates(found) == {"base": 2.0, "tuned": pytest.approx(6.5 / 6), "base-tuned": pytest.approx(5.5 / 6)}
    for estimate in found.values():
        assert estimate.low <= estimate.estimate <= estimate.high
        assert (estimate.rows, estimate.sessions) == (3, 3)
    assert summarise.loss_arms([], [], []) == {}


def test_tokens_of_one_session_are_no_independent_witnesses() -> None:
    """The same numbers over three sessions or over thirty: the fewer sessions, the wider."""
    draw = np.random.default_rng(2)
    shift = np.repeat(draw.normal(0, 1, 3), 100)
    losses = [np.array([3 + s + e], np.float32) for s, e in zip(shift, draw.normal(0, 0.1, 300), strict=True)]
    few = [row(user(str(i)), says("."), session=f"s{i // 100}") for i in range(300)]
    many = [row(user(str(i)), says("."), session=f"s{i}") for i in range(300)]
    narrow = summarise.loss_arms(many, losses, losses)["base"]
    wide = summarise.loss_arms(few, losses, losses)["base"]
    assert wide.estimate == pytest.approx(narrow.estimate)
    assert wide.high - wide.low > 5 * (narrow.high - narrow.low)


def test_families_are_told_apart() -> None:
    rows = [row(user(str(i)), says("."), session=f"s{i}", family=("post", "reply")[i % 2]) for i in range(4)]
    losses = [np.array([i % 2 + 1.0], np.float32) for i in range(4)]
    found = summarise.by_family(rows, losses, losses)
    assert {family: arms["tuned"].estimate for family, arms in found.items()} == {"post": 1.0, "reply": 2.0}


# --- competence


def test_majority_is_the_commonest_decision_and_of_equals_the_first_by_name() -> None:
    rows = [row(user(str(i)), call(name, "W-1"), family="tool_decision") for i, name in enumerate("bbaac")]
    assert majority_labels(rows) == {"tool_decision": "a"}
    assert majority_labels([row(user("?"), says("We ship."), family="post")]) == {}


def test_the_right_tool_and_the_exact_call() -> None:
    rows = [
        row(
            user(f"W-{i}"),
            call("wait" if i < 3 else "lookup", f"W-{i}"),
            session=f"s{i}",
            family="tool_decision",
            tools=TOOLS,
        )
        for i in range(5)
    ]

    def tuned(row: Row) -> Message:
        """Right in the first two; the right tool for another order in the third; otherwise wrong."""
        number = int(row.session[1:])
        return call("wait", f"W-{number}" if number < 2 else "W-9")

    found = competence(samples_of(rows, tuned, silent, rows)).measures
    assert estimates(found["tool_decision"]["right_tool"]) == {
        "tuned": 0.6,
        "base": 0.0,
        "majority": 0.6,
        "knn": 1.0,
        "tuned-base": 0.6,
        "tuned-majority": 0.0,
        "tuned-knn": -0.4,
    }
    assert estimates(found["tool_decision"]["exact_call"]) == {
        "tuned": 0.4,
        "base": 0.0,
        "majority": 0.0,
        "knn": 1.0,
        "tuned-base": 0.4,
        "tuned-majority": 0.4,
        "tuned-knn": -0.6,
    }


def test_a_family_of_the_users_own_is_measured_by_what_it_refines() -> None:
    named = [
        *(row(user(f"W-{i}"), call("wait", f"W-{i}"), session=f"s{i}", family="triage", tools=TOOLS) for i in range(3)),
        *(row(user(str(i)), says(STANCES["comply"]), session=f"r{i}", family="answers") for i in range(3)),
    ]
    structures = {"triage": "tool_decision", "answers": "reply"}
    rows = [msgspec.structs.replace(one, refines=structures[one.family]) for one in named]
    found = competence(samples_of(rows, lambda r: r.response, silent, rows)).measures
    assert list(found) == ["triage", "answers"]
    assert estimates(found["triage"]["exact_call"])["tuned"] == 1
    assert estimates(found["answers"]["stance"])["majority"] == 1
    unnamed = competence(samples_of(named, lambda r: r.response, silent, named)).measures
    assert unnamed == {}, "without its structure a name says nothing"


def test_stances_and_families_without_decisions() -> None:
    rows = [
        *(row(user(str(i)), says(text), session=f"s{i}") for i, text in enumerate(STANCES.values())),
        row(user("x"), says("Hm."), session="s9"),
        row(user("y"), says("We ship it today!"), session="s10", family="post"),
    ]
    found = competence(samples_of(rows, lambda r: says(STANCES["comply"]), silent, rows)).measures
    assert found.keys() == {"reply"}, "posts decide nothing"
    arms = found["reply"]["stance"]
    assert arms["tuned"].rows == 3, "and what says nothing is no measure"
    assert estimates(arms)["tuned"] == pytest.approx(1 / 3, abs=1e-5)


def test_nothing_to_measure() -> None:
    assert competence([]).measures == {}
    assert going_wrong.figures([]) == {}
    assert summarise.lengths([]) == {}


# --- signatures and length


def test_ways_of_going_wrong() -> None:
    rows = decision_rows("reply", 4, 1)
    circling = "It is fine and it is fine and so it is. " * 12

    def tuned(row: Row) -> Message:
        return {"s0": says(circling), "s1": says("Ask for W-7777.")}.get(row.session, row.response)

    found = going_wrong.figures(samples_of(rows, tuned, silent, rows))
    assert estimates(found["loops"])["tuned"] == 0.25
    assert estimates(found["loops"])["agent"] == estimates(found["loops"])["base"] == 0.0
    assert estimates(found["loops"])["tuned-agent"] == 0.25
    assert estimates(found["made_up"])["tuned"] == 0.25
    assert 0.2 < estimates(found["repetition"])["tuned"] <= 0.25


def test_the_length_of_all_answers() -> None:
    talk, calls = decision_rows("reply", 3, 1), decision_rows("tool_decision", 3, 1, name="t")
    found = summarise.lengths(samples_of([*talk, *calls], lambda r: r.response, silent, []))
    assert found["tuned-agent"].estimate == 0.0
    assert found["agent"].rows == 6
    lengths = [len(spoken(r.response.content, r.response.tool_calls).split()) for r in (*talk, *calls)]
    assert found["agent"].estimate == pytest.approx(np.mean(lengths))


# --- reading one answer


def test_an_answer_is_read_against_its_prompt() -> None:
    shape = row(user("Where is W-1?"), call("lookup", "W-1"), family="tool_decision", tools=TOOLS)
    inventory = inventory_of([shape])
    assert inventory == {"lookup", "cancel", "refund", "wait", "id"}
    right = read_answer(shape, "", call("lookup", "W-1").tool_calls, "stop", inventory, loss=0.5)
    assert (right.decision, right.right, right.made_up, right.loss, right.finish) == ("lookup", True, (), 0.5, "stop")
    wrong = read_answer(shape, "", call("lookup", "W-7777").tool_calls, "length", inventory)
    assert (wrong.decision, wrong.right, wrong.finish) == ("lookup", False, "length")
    (start, end, _), *_ = wrong.made_up
    assert spoken("", wrong.tool_calls)[start:end] == "W-7777"
    spoken_only = read_answer(shape, "It is W-1.", (), "stop", inventory)
    assert (spoken_only.decision, spoken_only.right) == (None, False)
