"""The prompt of a row: well formed, within its budget, and the same beginning from row to row."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from dataset_sessions import built, calls, harness, human, result, says, session, sessions, system
from growth import assert_grows_with_size
from hypothesis import example, given, settings
from hypothesis import strategies as st

from locum.dataset.build import Options
from locum.dataset.context import MESSAGE_CHARS, Window, clip, size
from locum.dataset.turns import Step, Turn, steps
from locum.types import Message, Row, Session


def rows_of(given_session: Session, **options: Any) -> list[Row]:
    return built(given_session, options=Options(**options)).rows


def assert_well_formed(messages: Sequence[Message]) -> None:
    """System first or never, no two of the user in a row, every call answered right after it."""
    open_calls: list[str] = []
    for at, message in enumerate(messages):
        assert message.role != "system" or at == 0
        if message.role == "tool":
            assert message.tool_call_id == open_calls.pop(0)
            continue
        assert not open_calls
        assert not (message.role == "user" and at and messages[at - 1].role == "user")
        if message.role == "assistant" and at < len(messages) - 1:
            assert message.content.strip() or message.tool_calls
            assert not (message.content and message.tool_calls)
            open_calls = [call.id for call in message.tool_calls]
    assert not open_calls


@given(sessions(), st.sampled_from([1000, 2000, 6000]))
@settings(max_examples=150, deadline=None)
def test_every_prompt_is_well_formed_and_within_its_budget(given_session: Session, budget: int) -> None:
    for row in rows_of(given_session, context_chars=budget, response_chars=600):
        assert_well_formed(row.messages)
        assert size(row.prompt) <= budget


def what_is_answered(so_far: Sequence[Step], response_chars: int) -> list[Message]:
    """What the next turn answers: the last step, and the calls that a human spoke after.

    Calls longer than a response are never in a prompt: whoever speaks after them is answered alone.
    """
    last = list(so_far[-1:])
    if len(so_far) > 1 and last[0].first.role == "user" and len(so_far[-2].messages) > 1:
        call = so_far[-2].first
        if size((call,)) - MESSAGE_CHARS <= response_chars:
            last = list(so_far[-2:])
    return [message for step in last for message in step.messages]


@given(sessions(), st.sampled_from([1000, 2000, 6000]))
@settings(max_examples=200, deadline=None)
def test_shortening_never_cuts_a_call_or_what_is_answered(given_session: Session, budget: int) -> None:
    window = Window(budget, 600)
    so_far: list[Step] = []
    calls_of = {call.id: call for m in given_session.messages for call in m.tool_calls}
    for part in steps(given_session):
        if isinstance(part, Step):
            so_far.append(part)
            window.push(part)
            continue
        shortened = window.prompt()
        if shortened is None or not so_far:
            continue
        prompt = shortened[0]
        shown_calls = [call for message in prompt for call in message.tool_calls]
        assert all(calls_of[call.id] == call for call in shown_calls)
        results = [message.tool_call_id for message in prompt if message.role == "tool"]
        assert results == [call.id for call in shown_calls]
        answered = what_is_answered(so_far, 600)
        for shown, whole in zip(prompt[-len(answered) :], answered, strict=True):
            assert (shown.role, shown.tool_calls, shown.tool_call_id) == (
                whole.role,
                whole.tool_calls,
                whole.tool_call_id,
            )
            limits = [max(budget // 4 // n, 80) for n in (1, 2, 3)]
            limits += [] if whole.role == "tool" else [budget // 2, 600]
            assert any(shown.content.endswith(clip(whole.content, limit)) for limit in limits)


def jumps(rows: Sequence[Row]) -> int:
    """Pairs of neighbours of which the second does not begin with all of the first."""
    pairs = itertools.pairwise(rows)
    return sum(b.messages[: len(a.messages)] != a.messages for a, b in pairs)


@given(sessions(), st.sampled_from([1000, 2000, 100_000]))
@settings(max_examples=150, deadline=None)
def test_a_row_begins_with_the_row_before_except_at_a_jump(given_session: Session, budget: int) -> None:
    rows = rows_of(given_session, context_chars=budget, response_chars=600)
    for a, b in itertools.pairwise(rows):
        if b.messages[: len(a.messages)] == a.messages:
            continue
        marker = [m for m in b.messages if "earlier messages left out" in m.content]
        assert marker, "the beginning changed without a jump"
        assert marker != [m for m in a.messages if "earlier messages left out" in m.content]


def long_session(turns: int) -> Session:
    messages = [system("Be brief."), human("Look at everything.")]
    for n in range(turns):
        messages += [calls(f"c{n}"), result(f"c{n}", f"{n}: " + "x" * 100)]
    return session(*messages, says("All seen."))


def test_jumps_are_rare() -> None:
    rows = rows_of(long_session(400))
    assert len(rows) == 401
    # A step is about 155 characters, half the room of 6,000 about 19 of them.
    assert 400 / 25 < jumps(rows) < 400 / 15


def test_cost_is_linear_in_length() -> None:
    sessions = {turns: long_session(turns) for turns in (250, 2000)}
    assert_grows_with_size(lambda turns: rows_of(sessions[turns]), 2000)


def test_system_and_first_human_message_stay() -> None:
    row = rows_of(long_session(400))[-1]
    assert row.messages[0] == system("Be brief.")
    assert row.messages[1].content.startswith("Look at everything.\n\n[… ")
    assert row.messages[1].origin == "human"
    assert row.messages[2].role == "assistant"
    assert row.shortened > 700


def test_the_human_is_kept_rather_than_the_command_before() -> None:
    work = [m for n in range(200) for m in (calls(f"c{n}"), result(f"c{n}", "x" * 100))]
    started = session(harness("/clear"), says("Cleared."), human("Fix the tests."), *work, says("Fixed."))
    first = rows_of(started)[-1].messages[0].content
    assert first.startswith("Fix the tests.")
    assert "/clear" not in first


def test_what_is_answered_is_never_left_out() -> None:
    work = [m for n in range(60) for m in (calls(f"c{n}"), result(f"c{n}", "x" * 100))]
    asked = session(human("Begin."), *work, human("And now " + "this " * 150), says("That."))
    assert rows_of(asked, context_chars=2000)[-1].messages[-2].content.startswith("And now this")


def test_a_long_call_that_is_answered_stays_with_its_result() -> None:
    work = [m for n in range(60) for m in (calls(f"c{n}"), result(f"c{n}", "x" * 100))]
    longer = calls("w", arguments={"text": "y" * 1500})
    row = rows_of(session(human("Begin."), *work, longer, result("w"), says("Ok.")), context_chars=2000)[-1]
    assert row.messages[-3:] == (longer, result("w"), says("Ok."))


def test_limits_of_single_messages() -> None:
    row = rows_of(
        session(
            system("s" * 9000),
            human("h" * 9000),
            calls("a", "b"),
            result("a", "r" * 9000),
            result("b"),
            says("ok"),
        )
    )[-1]
    lengths = [len(message.content) for message in row.prompt]
    assert lengths == [1500, 3000, 0, 750, 4]
    assert row.shortened == 3
    assert all("characters left out" in row.messages[at].content for at in (0, 1, 3))


def test_a_call_that_is_too_long_goes_with_its_result_and_the_turn_after_it() -> None:
    written = session(
        human("Write it."), calls("w", arguments={"text": "y" * 4000}), result("w"), says("Written."),
        human("Thanks."), says("Welcome."),
    )  # fmt: skip
    made = built(written)
    assert [drop.reason for drop in made.drops] == ["too_long", "context_too_long"]
    [row] = made.rows
    assert [message.role for message in row.messages] == ["user", "assistant", "user", "assistant"]
    assert row.shortened == 2


@example("0" * 65, 64)
@given(st.text(max_size=400), st.integers(64, 300))
def test_clip(text: str, limit: int) -> None:
    clipped = clip(text, limit)
    if len(text) <= limit:
        assert clipped == text
        return
    assert len(clipped) <= limit
    head, _, rest = clipped.partition("[… ")
    number, _, tail = rest.partition(" characters left out …]")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) + len(tail) + int(number.replace(",", "")) == len(text)


def test_a_window_takes_steps_and_gives_messages() -> None:
    window = Window(1000, 500)
    for part in steps(session(human("Hi."), says("Hello."), human("Bye."), says("Bye."))):
        if isinstance(part, Step):
            window.push(part)
    assert window.prompt() == ((human("Hi."), says("Hello."), human("Bye."), says("Bye.")), 0)


@pytest.mark.parametrize("count", [1, 5])
def test_turns_know_their_place(count: int) -> None:
    spoken = session(*(m for n in range(count) for m in (human(f"q{n}"), says(f"a{n}"))))
    turns = [part for part in steps(spoken) if isinstance(part, Turn)]
    assert [turn.index for turn in turns] == list(range(count))
    assert [turn.last for turn in turns] == [False] * (count - 1) + [True]
