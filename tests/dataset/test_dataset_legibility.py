"""Which turns become rows, which are dropped for what, and which family they are."""

from typing import Any

import pytest
from built_dataset import build
from dataset_sessions import Turns, built, calls, harness, human, result, says, session, sessions, system
from hypothesis import given, settings

from locum.dataset.families import FAMILIES, holds_diff
from locum.dataset.legibility import REASONS
from locum.types import Message, Row, Session, Signal


def reasons(*messages: Message, **more: Any) -> list[str]:
    return [drop.reason for drop in built(session(*messages, **more)).drops]


@given(sessions())
@settings(max_examples=150, deadline=None)
def test_every_turn_is_one_row_or_one_drop(given_session: Session) -> None:
    made = built(given_session)
    agent = [m for m in given_session.messages if m.role == "assistant" and m.origin == "agent"]
    assert len(agent) == len(made.rows) + len(made.drops)
    assert sorted([r.turn for r in made.rows] + [d.turn for d in made.drops]) == list(range(len(agent)))
    assert {drop.reason for drop in made.drops} <= set(REASONS)
    assert {row.family for row in made.rows} <= set(FAMILIES)


@pytest.mark.parametrize(
    "signal", ["synthetic", "api_error", "interrupted", "truncated", "unreadable", "rewound", "corrected"]
)
def test_signals_on_the_turn(signal: Signal) -> None:
    assert reasons(human("Hi."), says("Hm.", signal)) == [signal]


@pytest.mark.parametrize("signal", ["rejected", "tool_error"])
@pytest.mark.parametrize("on_result", [True, False])
def test_signals_of_calls(signal: Signal, on_result: bool) -> None:
    call = calls("a", "b", signals=() if on_result else (signal,))
    told = result("b", "no", signal) if on_result else result("b")
    assert reasons(human("Go."), call, result("a"), told) == [signal]


def test_reasons_without_a_signal() -> None:
    assert reasons(human("Hi."), says("  ")) == ["empty"]
    assert reasons(human("Hi."), calls("a"), human("Well?"), says("Sorry.")) == ["unanswered_call"]
    assert reasons(human("Hi."), calls("a"), says("x"), result("a")) == ["unanswered_call"]
    assert reasons(human("Hi."), says("x" * 3001)) == ["too_long"]
    assert reasons(human("Hi."), says("No."), reward=0.5) == ["failed_session"]
    assert reasons(calls("a"), result("a"), says("So.")) == ["no_prompt"]
    assert reasons(result("gone"), says("So.")) == ["no_prompt"]
    assert reasons(harness("/scan"), calls("a"), result("a"), says("So.")) == []
    assert reasons(human("Hi."), says("Hello."), reward=1.0) == []


def test_a_training_example_may_end_with_its_call() -> None:
    example = session(human("Hi."), calls("a"), format="openai_chat")
    [row] = built(example).rows
    assert (row.family, row.tier) == ("tool_decision", "recorded")


def test_what_was_not_said_is_not_in_later_prompts() -> None:
    [*_, row] = built(
        session(
            human("One."), says("API Error", "api_error"), human("Two."),
            calls("a", signals=("interrupted",)), result("a"), human("Three."),
            says("Wrong way.", "rewound"), says("Right way."), human("Four."), says("Done."),
        )
    ).rows  # fmt: skip
    assert row.messages == (
        human("One.\n\nTwo.\n\nThree."),
        says("Right way."),
        human("Four."),
        says("Done."),
    )


def test_narration_is_left_out_of_target_and_history() -> None:
    made = built(session(human("Go."), calls("a", text="I'll look."), result("a"), says("Seen.")))
    decision, reply = made.rows
    assert made.narration == 1
    assert decision.response.content == ""
    assert reply.messages[: len(decision.messages)] == decision.messages
    assert not any("I'll look" in m.content for row in made.rows for m in row.messages)


def test_messages_between_a_call_and_its_result_come_after_it() -> None:
    [_, row] = built(session(human("Go."), calls("a"), human("Wait!"), result("a"), says("Ok."))).rows
    assert [m.role for m in row.messages] == ["user", "assistant", "tool", "user", "assistant"]


def everything(*given_sessions: Session) -> Turns:
    """What became of them all together."""
    dataset = build(*given_sessions)
    return Turns([row for rows in dataset.rows.values() for row in rows], list(dataset.drops), dataset.stats.narration)


def test_copies_and_duplicates() -> None:
    first = session(human("Hi."), says("Hello.", id="m1"), human("Go."), calls("a"), id="s1", lineage="l")
    longer = session(
        human("Hi."), says("Hello.", id="m1"), human("Go."), calls("a"), result("a"), says("Done.", id="m3"),
        id="s2", lineage="l",
    )  # fmt: skip
    other = session(human(" Hi."), says("Hello. ", id="x1"), id="s3")
    made = everything(first, longer, other)
    assert [drop.reason for drop in made.drops] == ["unanswered_call", "copy", "duplicate"]
    assert [(row.session, row.turn) for row in made.rows] == [("s1", 0), ("s2", 1), ("s2", 2)]
    assert len({row.id for row in made.rows}) == 3


def test_the_copy_of_a_cut_call_takes_its_place() -> None:
    def cut(*more: Message) -> Session:
        call = Message("assistant", "", calls("a").tool_calls, origin="agent", id="m1")
        return session(human("Go."), call, *more, id=f"s{len(more)}", lineage="l")

    made = everything(cut(), cut(result("a")))
    assert [drop.reason for drop in made.drops] == ["unanswered_call"]
    assert [row.session for row in made.rows] == ["s1"]


def families(*messages: Message) -> list[str]:
    return [row.family for row in built(session(*messages)).rows]


DIFF = "Please review:\n```diff\n-a\n+b\n```"


def test_families() -> None:
    assert families(human("Go."), calls("a"), result("a"), says("Seen.")) == ["tool_decision", "reply"]
    assert families(human(DIFF), calls("a"), result("a"), says("Looks right.")) == [
        "tool_decision",
        "code_review",
    ]
    assert families(human(DIFF), says("Fine."), human("Thanks."), says("Welcome.")) == [
        "code_review",
        "reply",
    ]
    assert families(human(DIFF), harness("A reminder."), says("Fine.")) == ["code_review"]
    assert families(says("Good morning.")) == ["post"]
    assert families(system("You post."), says("Good morning.")) == ["post"]
    assert families(harness("/post"), says("One."), harness("/post"), says("Two.")) == ["post", "post"]
    assert families(harness("/post"), calls("a"), result("a"), says("Three.")) == ["tool_decision", "reply"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("diff --git a/x b/x", True),
        ("look\n@@ -1,2 +3 @@ def f", True),
        ("```diff\n+a", True),
        ("what is a diff?", False),
        ("run `git diff --git`", False),
        ("mail me @@ -1", False),
    ],
)
def test_holds_diff(text: str, expected: bool) -> None:
    assert holds_diff(text) is expected


def tiers(*messages: Message, reward: float | None = None) -> list[str]:
    rows: list[Row] = built(session(*messages, reward=reward)).rows
    return [row.tier for row in rows]


def test_tiers() -> None:
    talk = (human("Go."), calls("a"), result("a"), says("Seen."))
    assert tiers(*talk) == ["verified", "recorded"]
    assert tiers(*talk, reward=1.0) == ["verified", "verified"]
