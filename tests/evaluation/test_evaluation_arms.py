"""A lookup finds the row that is asked the same, and examples stand where a chat may hold them, within their budget."""

import pytest
from answer_samples import STANCES, decision_rows, samples_of, silent
from hypothesis import given
from hypothesis import strategies as st
from small_models import row, says, system, user

from locum.evaluation.arms import EXAMPLE_CHARS, Nearest, Neighbour, with_examples
from locum.evaluation.competence import competence, lookups, stratum
from locum.types import Row, ToolCall

SYSTEM = system("You look after orders. " * 40)
TRAIN = [
    row(SYSTEM, user("Where is order W-17? It is late."), says("I will look."), session="a"),
    row(SYSTEM, user("Please cancel the subscription of the parcel service."), says("Done."), session="b"),
    row(SYSTEM, user("Can you merge the branch?"), says("I would advise against it."), session="c"),
    row(SYSTEM, user("Post the news of the week"), says("We ship!"), session="d", family="post"),
]


def asked(text: str, family: str = "reply") -> Row:
    return row(SYSTEM, user(text), says("?"), family=family)


def nearest(text: str, family: str = "reply") -> Neighbour:
    return Nearest(TRAIN).of([asked(text, family)], 1)[0][0]


def test_the_nearest_row_is_the_one_that_is_asked_the_same() -> None:
    assert nearest("where is the order W-18, is it late?").row is TRAIN[0]
    assert nearest("cancel my parcel subscription").row is TRAIN[1]
    assert nearest("Can you merge the branch?").similarity == pytest.approx(1.0)
    assert nearest("zzz").similarity < 0.1


def test_a_family_is_looked_up_in_its_own_rows_first() -> None:
    assert nearest("Can you merge the branch?", "post").row is TRAIN[3]
    refined = row(user("Can you merge?"), says("?"), family="answers")
    assert Nearest(TRAIN).of([refined])[0] == [], "no row of its family or structure"
    assert Nearest([]).of([refined]) == [[]]
    assert Nearest(TRAIN).of([]) == []


def test_neighbours_come_nearest_first_and_no_more_than_asked() -> None:
    found = Nearest(TRAIN).of([asked("where is the order?")], 2)[0]
    assert len(found) == 2
    assert found[0].similarity >= found[1].similarity


def test_examples_stand_between_system_and_conversation_the_nearest_last() -> None:
    shown = with_examples(asked("And now?"), [Neighbour(TRAIN[0], 0.9), Neighbour(TRAIN[1], 0.5)])
    assert [message.role for message in shown] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert [message.content for message in shown[1:]] == [
        TRAIN[1].prompt[-1].content, "Done.", TRAIN[0].prompt[-1].content, "I will look.", "And now?",
    ]  # fmt: skip


@given(st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), max_size=6))
def test_examples_keep_their_budget_and_their_responses_whole(lengths: list[tuple[int, int]]) -> None:
    rows = [row(user("q" * asked), says("a" * answered)) for asked, answered in lengths]
    shown = with_examples(asked("?"), [Neighbour(one, 1.0) for one in rows])
    examples = shown[1:-1]
    assert sum(len(message.content) for message in examples) <= EXAMPLE_CHARS
    assert {len(message.content) for message in examples[1::2]} <= {answered for _, answered in lengths}
    assert all(message.content for message in examples)


def test_calls_are_shown_as_calls() -> None:
    call = ToolCall(id="x", name="lookup", arguments={"id": "W-1"})
    shown = with_examples(asked("?"), [Neighbour(row(user("Where is W-1?"), says("", call)), 1.0)])
    assert shown[2].tool_calls == (call,)


def test_the_lookup_is_the_thing_to_ship_where_it_is_not_beaten() -> None:
    """On prompts seen in training a lookup is right, and a model that is right too is not needed; on new ones it is."""
    rows = decision_rows("reply", 30)
    seen = samples_of(rows, lambda r: r.response, silent, decision_rows("reply", 30, name="t"))
    assert {stratum(sample) for sample in seen} == {"routine"}
    assert lookups(competence(seen).measures).keys() == {"reply"}
    unlike = [row(user("Quite another matter."), says(STANCES["comply"]), session=f"t{i}") for i in range(9)]
    unseen = samples_of(rows, lambda r: r.response, silent, unlike)
    assert {stratum(sample) for sample in unseen} == {"novel"}
    assert lookups(competence(unseen).measures) == {}
