"""The user's rules for families: which turns they take, and that they only ever refine."""

from typing import Any

import pytest
from dataset_sessions import calls, harness, human, result, says, session, sessions
from hypothesis import given, settings

from locum.dataset.families import FAMILIES, FamilyRules, family_of
from locum.dataset.turns import Turn, steps
from locum.settings import FamilyRule
from locum.types import Message, Session


def turns(given_session: Session) -> list[Turn]:
    return [part for part in steps(given_session) if isinstance(part, Turn)]


def refined(rules: list[FamilyRule], *messages: Message, **more: Any) -> list[str | None]:
    given_session = session(*messages, **more)
    asked = FamilyRules(rules)
    return [asked.refine(family_of(given_session, (), turn), given_session, turn) for turn in turns(given_session)]


TALK = (
    human("What is the Priority of this?"),
    calls("a", arguments={"q": "push it"}),
    result("a"),
    says("High, I say."),
)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"of": "reply", "request": "(?i)priority"}, [None, "mine"]),
        ({"of": "reply", "request": "priority"}, [None, None]),
        ({"of": "tool_decision", "request": "Priority"}, ["mine", None]),
        ({"of": "tool_decision", "tool": "lo*"}, ["mine", None]),
        ({"of": "tool_decision", "tool": "LO*"}, [None, None]),
        ({"of": "tool_decision", "response": r'^look \{"q":"push'}, ["mine", None]),
        ({"of": "reply", "response": "^High"}, [None, "mine"]),
        ({"of": "reply", "response": "^High", "request": "nothing"}, [None, None]),
        ({"of": "reply", "format": "claude_code"}, [None, "mine"]),
        ({"of": "reply", "format": "codex"}, [None, None]),
        ({"of": "reply", "source": "*/s.jsonl"}, [None, None]),
        ({"of": "reply", "source": "s.json?"}, [None, "mine"]),
        ({"of": "reply", "provider": "*"}, [None, "mine"]),
        ({"of": "reply", "model": "small-[12]"}, [None, "mine"]),
        ({"of": "post", "response": "High"}, [None, None]),
    ],
)
def test_conditions(conditions: dict[str, str], expected: list[str | None]) -> None:
    rule = FamilyRule(name="mine", **conditions)
    assert refined([rule], *TALK, model="small-2") == expected


def test_the_first_rule_that_fits_wins() -> None:
    rules = [
        FamilyRule(name="none", of="reply", response="absent"),
        FamilyRule(name="first", of="reply", response="High"),
        FamilyRule(name="second", of="reply", response="."),
    ]
    assert refined(rules, *TALK) == [None, "first"]


def test_posts_can_be_refined_by_what_called_for_them() -> None:
    rule = FamilyRule(name="morning", of="post", request="^/morning")
    assert refined([rule], harness("/morning"), says("Good day."), harness("/evening"), says("Good night.")) == [
        "morning",
        None,
    ]


def test_only_the_beginning_of_a_long_text_is_searched() -> None:
    rule = FamilyRule(name="late", of="reply", request="needle")
    assert refined([rule], human("x" * 7_000 + "needle"), says("Yes.")) == ["late"]
    assert refined([rule], human("x" * 9_000 + "needle"), says("Yes.")) == [None]


@given(sessions())
@settings(max_examples=60, deadline=None)
def test_a_rule_takes_turns_of_its_structure_alone(given_session: Session) -> None:
    rules = FamilyRules([FamilyRule(name=f"my_{family}", of=family, source="*") for family in FAMILIES])
    for turn in turns(given_session):
        family = family_of(given_session, (), turn)
        assert rules.refine(family, given_session, turn) == f"my_{family}"
        assert FamilyRules().refine(family, given_session, turn) is None
