"""Prompts as providers take them: every call with its result, whatever the log held."""

from typing import Any

import fake_provider
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import says, system, user

from locum.evaluation.agent.dialects import NO_RESULT, Anthropic, OpenAI, Reply, paired
from locum.types import Message, ToolCall

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


def call(id_: str, name: str = "look") -> ToolCall:
    return ToolCall(id_, name, {"at": id_})


def result(id_: str | None, text: str = "seen") -> Message:
    return Message("tool", text, tool_call_id=id_, tool_name="look")


messages = st.lists(
    st.one_of(
        st.builds(user, st.text(max_size=5)),
        st.builds(says, st.text(max_size=5)),
        st.builds(lambda ids: says("", *map(call, ids)), st.lists(st.sampled_from("ab"), min_size=1, max_size=3)),
        st.builds(result, st.sampled_from(["a", "b", "c", "", None])),
    ),
    max_size=9,
)


@given(messages)
def test_whatever_a_log_holds_the_servers_take_it(prompt: list[Message]) -> None:
    opened = [system("Be brief."), user("Go on"), *prompt, user("Now")]
    assert fake_provider._mistake("/v1/chat/completions", OpenAI().request("m", opened, [TOOL], 10)) == ""
    assert fake_provider._mistake("/v1/messages", Anthropic().request("m", opened, [TOOL], 10)) == ""
    texts = [message.content for message in opened]
    assert [message.content for message in paired(opened) if message.content != NO_RESULT] == texts, "nothing is lost"


def test_calls_and_results_find_each_other() -> None:
    prompt = [
        user("?"),
        says("", call("x"), call("y")),
        result("y", "second"),
        result("x", "first"),
        says("", call("x")),
    ]
    found = paired([*prompt, user("And?"), result("z", "late")])
    assert [(m.role, m.tool_call_id or m.content) for m in found[2:4]] == [("tool", "call_1"), ("tool", "call_0")]
    assert found[4].tool_calls[0].id == found[5].tool_call_id == "call_2"
    assert found[5].content == NO_RESULT
    assert (found[-1].role, found[-1].content) == ("user", "late")


def test_the_system_text_and_the_tools_of_each_dialect() -> None:
    bare = {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}
    prompt = [system("Be brief."), user("?")]
    chat = OpenAI().request("m", prompt, [bare, {"function": {}}], 10)
    assert chat["messages"][0] == {"role": "system", "content": "Be brief."}
    assert chat["tools"] == [{"type": "function", "function": bare}]
    said = Anthropic().request("m", prompt, [bare], 10)
    assert (said["system"], len(said["messages"])) == ("Be brief.", 1)
    assert said["tools"] == [{"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}]
    assert all("tools" not in dialect.request("m", prompt, [], 10) for dialect in (OpenAI(), Anthropic()))
    assert all("temperature" not in dialect.request("m", prompt, [], 10) for dialect in (OpenAI(), Anthropic()))


def openai(**choice: Any) -> dict[str, Any]:
    return {"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}


def test_what_openai_answers() -> None:
    made = {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
    found = OpenAI().reply(openai(message={"content": None, "tool_calls": [made]}, finish_reason="tool_calls"))
    assert found == Reply("", (ToolCall("call_0", "look", {"at": 1}),), "stop", 5, 2)
    for arguments in ("[1]", "{broken", None, ""):
        made["function"] = {"name": "look", "arguments": arguments}
        found = OpenAI().reply(openai(message={"content": "x", "tool_calls": [made]}))
        assert found.tool_calls[0].arguments == {}
    assert OpenAI().reply(openai(message={"content": "a"}, finish_reason="length")).finish == "length"
    assert OpenAI().reply(openai(message={"content": "a"}, finish_reason="content_filter")).finish == "refusal"
    assert OpenAI().reply(openai(message={"content": None, "refusal": "no"}, finish_reason="stop")).finish == "refusal"


def test_what_anthropic_answers() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "1", "name": "look", "input": {"at": 1}},
    ]
    body = {"content": blocks, "stop_reason": "tool_use", "usage": {"input_tokens": 5, "output_tokens": 2}}
    found = Anthropic().reply(body)
    assert found == Reply("I look.", (ToolCall("call_0", "look", {"at": 1}),), "stop", 5, 2)
    for reason, finish in (("max_tokens", "length"), ("refusal", "refusal"), ("end_turn", "stop")):
        assert Anthropic().reply({**body, "stop_reason": reason}).finish == finish


@pytest.mark.parametrize("body", ["", "<html>", None, {}, [], {"choices": []}, {"content": "x"}])
def test_what_is_no_answer(body: Any) -> None:
    for dialect in (OpenAI(), Anthropic()):
        with pytest.raises(msgspec.ValidationError):
            dialect.reply(body)
