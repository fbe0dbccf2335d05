"""What responses decide: calls by value and type, verdicts and stances only where the text is clear."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.evaluation.decisions import (
    decision_label,
    keeps_schema,
    same_call,
    same_calls,
    same_decision,
    same_tools,
    valid_call,
)
from locum.types import Message, ToolCall


def call(name: str = "pay", **arguments: Any) -> ToolCall:
    return ToolCall(id="", name=name, arguments=arguments)


def says(text: str) -> Message:
    return Message("assistant", text)


def calls(*tool_calls: ToolCall) -> Message:
    return Message("assistant", tool_calls=tool_calls)


def tool(name: str, **parameters: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


PAY = tool(
    "pay",
    type="object",
    properties={
        "amount": {"type": "number"},
        "times": {"type": "integer", "default": 1},
        "to": {"type": "string", "pattern": "^[a-z]+$"},
        "options": {"properties": {"now": {"type": "boolean"}}, "additionalProperties": False},
    },
    required=["amount"],
)
SCHEMA = PAY["function"]["parameters"]


# --- calls


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, 1.0),
        ({"x": 1, "y": [True]}, {"y": [True], "x": 1.0}),
        ("a/b", "a/b"),
        (None, None),
        (10**20, 1e20),
    ],
)
def test_same_values(a: Any, b: Any) -> None:
    assert same_call(call(v=a), call(v=b))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("1.5", "15"),
        ("a/b", "ab"),
        (1.5, "1.5"),
        (True, 1),
        (False, 0),
        (None, ""),
        ([1, 2], [2, 1]),
        ([1], 1),
        ({}, []),
        ({"x": 1}, {"x": 1, "y": None}),
        ("  indented", "indented"),
        ("Title", "title"),
        (2**53, 2**53 + 1),
    ],
)
def test_different_values(a: Any, b: Any) -> None:
    assert not same_call(call(v=a), call(v=b))
    assert not same_call(call(v=[{"x": a}]), call(v=[{"x": b}]))


def test_ids_do_not_matter_and_names_do() -> None:
    assert same_call(ToolCall("1", "pay", {"amount": 2}), ToolCall("2", "pay", {"amount": 2}))
    assert not same_call(call("pay"), call("refund"))


def test_a_schema_fills_in_defaults() -> None:
    assert same_call(call(amount=2), call(amount=2.0, times=1), SCHEMA)
    assert not same_call(call(amount=2), call(amount=2, times=2), SCHEMA)
    assert not same_call(call(amount=2), call(amount=2, times=1))


def test_valid_calls() -> None:
    assert valid_call(call(amount=2, options={"now": True}), [PAY])
    assert valid_call(call(amount=2, times=2.0), [PAY])
    assert valid_call(call("look"), [PAY, tool("look")])
    for broken in (
        call(),
        call(amount="2"),
        call(amount=2, times=1.5),
        call(amount=2, extra=1),
        call(amount=2, options={"later": True}),
        call("pay_now", amount=2),
    ):
        assert not valid_call(broken, [PAY])


def test_schemas_are_not_trusted() -> None:
    redos = "(a+)+$"
    hostile = {"properties": {"v": {"type": "string", "pattern": redos}}, "patternProperties": {redos: {}}}
    started = time.perf_counter()
    assert keeps_schema({"v": "a" * 40 + "!"}, hostile)
    assert keeps_schema({"a" * 40 + "!": 1}, {**hostile, "additionalProperties": False})
    assert keeps_schema({"a" * 40 + "!": 1}, {**hostile, "unevaluatedProperties": False})
    assert time.perf_counter() - started < 1
    unfit: dict[str, Any]
    for unfit in (
        {"$ref": "https://example.org/schema.json"},
        {"$ref": "#/nowhere"},
        {"$ref": "#"},
        {"type": "objekt"},
        {"properties": []},
        {"required": 3},
        {"type": None},
        {"minProperties": "x"},
        {"enum": 5},
    ):
        assert keeps_schema({"v": 1}, unfit)


def test_calls_of_one_message_are_a_set() -> None:
    a, b = call("look", at="x"), call("pay", amount=1)
    assert same_calls([a, b], [b, a])
    assert not same_calls([a, a], [a, b])
    assert not same_calls([a], [a, a])
    assert same_tools([a, b], [call("pay", amount=9), call("look")])
    assert not same_tools([a, a], [a])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)
arguments = st.dictionaries(st.sampled_from(["amount", "times", "to", "v"]), json_values, max_size=3)


@given(arguments, arguments, st.sampled_from([None, SCHEMA]))
def test_same_call_is_reflexive_and_blind_to_key_order(
    a: dict[str, Any], b: dict[str, Any], schema: dict[str, Any] | None
) -> None:
    assert same_call(call(**a), call(**dict(reversed(a.items()))), schema)
    if schema is None:
        assert same_call(call(**a), call(**b)) == same_call(call(**b), call(**a))


# --- verdicts and stances


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("LGTM, thanks for the tests.", "approve"),
        ("Approved. Ship it!", "approve"),
        ("Looks good to me. One nit: rename `x`.", "approve"),
        ("No changes requested, good to merge.", "approve"),
        ("I'm requesting changes: the lock is never released.", "request_changes"),
        ("REQUEST_CHANGES", "request_changes"),
        ("This can't be approved as it stands.", "request_changes"),
        ("I would not merge this.", "request_changes"),
        ("Not ready to merge: the token leaks into the log.", "request_changes"),
        ("Blocking: the migration drops a column.", "request_changes"),
        ("The retry must be fixed before this goes in.", "request_changes"),
        ("Nit: trailing comma.", "comment"),
        ("Non-blocking: consider a constant.", "comment"),
        ("COMMENT", "comment"),
        ("The loop would block the thread.\n\n**Verdict:** Approve", "approve"),
        ("Earlier I said LGTM.\nVerdict: request changes", "request_changes"),
        ("```\nlgtm()\n```\n> please approve\nRequesting changes.", "request_changes"),
        ("Interesting approach.", None),
        ("Try to nest code blocks less; a blocking call here is fine.", None),
        ("LGTM, but I'm requesting changes to the docs.", None),
        ("The `approve` button is green.", None),
        ("", None),
    ],
)
def test_verdicts(text: str, label: str | None) -> None:
    assert decision_label("code_review", says(text)) == label


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Done, the flag is off.", "comply"),
        ("On it.", "comply"),
        ("I'll add the index tonight.", "comply"),
        ("I've updated both files.", "comply"),
        ("I’d push back on that: it drops the audit log.", "push_back"),
        ("I don't think we should disable the check.", "push_back"),
        ("That's not a good idea, the key is shared.", "push_back"),
        ("I won't force-push to main.", "push_back"),
        ("Which branch do you mean?", "defer"),
        ("Should I also touch the tests?", "defer"),
        ("Let me check with the data team first.", "defer"),
        ("I can't find the file; could you share the path?", "defer"),
        ("Sure, but I'd push back on the deadline.", None),
        ("The cache holds nine entries.", None),
        ("", None),
    ],
)
def test_stances(text: str, label: str | None) -> None:
    assert decision_label("reply", says(text)) == label


def test_labels_of_tools_and_of_families_that_decide_nothing() -> None:
    assert decision_label("tool_decision", calls(call("pay"), call("look"))) == "look + pay"
    assert decision_label("tool_decision", says("I would pay.")) is None
    assert decision_label("post", says("LGTM")) is None
    assert decision_label("haiku", says("LGTM")) is None


def test_the_same_decision() -> None:
    recorded = calls(call(amount=2, times=1))
    assert same_decision("tool_decision", calls(call(amount=2)), recorded, [PAY]) is True
    assert same_decision("tool_decision", calls(call(amount=3)), recorded, [PAY]) is False
    assert same_decision("tool_decision", says("pay 2"), recorded, [PAY]) is False
    assert same_decision("code_review", says("Looks good to me"), says("LGTM")) is True
    assert same_decision("code_review", says("Hm."), says("LGTM")) is False
    assert same_decision("code_review", says("LGTM"), says("Hm.")) is None
    assert same_decision("post", says("a"), says("a")) is None
