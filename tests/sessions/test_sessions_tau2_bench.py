"""tau2-bench results: dict arguments, the user's own tools, wrapped texts, rewards, customers, cut files."""

import json
from pathlib import Path
from typing import Any

import pytest
from claude_log import adds_up

from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of
from locum.sessions.tau2_bench import Tau2Bench


def call(id_: str, name: str = "find_order", requestor: str = "assistant", **arguments: Any) -> dict[str, Any]:
    return {"id": id_, "name": name, "arguments": arguments, "requestor": requestor}


def told(id_: str, content: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "role": "tool", "content": content, "requestor": "assistant", **more}


def said(role: str, content: str | None, *calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, "tool_calls": list(calls) or None, **more}


GREETING = said("assistant", "Hi! How can I help?", timestamp="2026-01-02T10:00:00.5")
TALK = [
    GREETING,
    said("user", "Where is my order?"),
    said("assistant", None, call("c1", order_id="#1")),
    told("c1", "shipped", error=False),
    said("assistant", "On its way."),
    said("user", "Thanks. ###STOP###"),
]


def results(*messages: list[dict[str, Any]], task: str = "7", reward: Any = 1.0, **environment: Any) -> dict[str, Any]:
    return {
        "timestamp": "2026-01-02T11:00:00",
        "info": {
            "user_info": {"implementation": "user_simulator"},
            "agent_info": {"llm": "openai/gpt-4.1-mini"},
            "environment_info": {"domain_name": "shop", "policy": "# Policy", "tool_defs": None, **environment},
        },
        "tasks": [{"id": "7", "user_scenario": {"instructions": {"known_info": "You are Ada."}}}],
        "simulations": [
            {"id": f"s{n}", "task_id": task, "trial": n, "reward_info": {"reward": reward}, "messages": one}
            for n, one in enumerate(messages)
        ],
    }


def read(folder: Path, content: bytes | dict[str, Any]) -> FileReading:
    path = folder / "shop.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    reader = reader_of(path)
    assert isinstance(reader, Tau2Bench)
    reading = reader.read(path)
    adds_up(reading)
    return reading


def test_a_simulation_is_a_session_under_its_policy(tmp_path: Path) -> None:
    reading = read(tmp_path, results(TALK))
    (session,) = reading.sessions
    assert [(m.role, m.origin, m.content) for m in session.messages] == [
        ("system", "system", "# Policy"),
        ("assistant", "harness", "Hi! How can I help?"),
        ("user", "human", "Where is my order?"),
        ("assistant", "agent", ""),
        ("tool", "tool", "shipped"),
        ("assistant", "agent", "On its way."),
        ("user", "human", "Thanks."),
    ]
    assert session.messages[3].tool_calls[0].arguments == {"order_id": "#1"}
    assert (session.messages[4].tool_call_id, session.messages[4].tool_name) == ("c1", "find_order")
    assert (session.id, session.lineage, session.reward) == ("shop:7:0", "tau2_bench:shop task 7", 1.0)
    assert (session.started, session.model, session.provider) == (
        "2026-01-02T10:00:00.500Z",
        "openai/gpt-4.1-mini",
        "openai",
    )
    assert (reading.lines.total, reading.lines.used) == (6, 6)


def test_the_users_own_tools_are_not_the_agents(tmp_path: Path) -> None:
    talk = [
        GREETING,
        said("user", "", call("u1", "toggle_airplane_mode", "user")),
        told("u1", "off", requestor="user"),
        said("user", "It is off now.", call("u2", "check", "user")),
        told("u2", "on", requestor="user"),
        said("assistant", "Good."),
    ]
    reading = read(tmp_path, results(talk))
    (session,) = reading.sessions
    assert [m.role for m in session.messages] == ["system", "assistant", "user", "assistant"]
    assert not any(m.tool_calls for m in session.messages)
    assert reading.lines.noise == {"the user's own tool": 3}


@pytest.mark.parametrize("result", [told("c1", "no such order", error=True), told("c1", "Error: no such order")])
def test_a_failed_call_is_marked_on_the_message_that_made_it(tmp_path: Path, result: dict[str, Any]) -> None:
    (session,) = read(tmp_path, results([*TALK[:3], result, TALK[4]])).sessions
    assert [m.signals for m in session.messages if m.origin == "agent"] == [("tool_error",), ()]


@pytest.mark.parametrize(
    ("wrapped", "text"),
    [
        ('{"message": "On its way."}', "On its way."),
        ('{"response":"a\\nb"}', "a\nb"),
        ('"Plain."', "Plain."),
        ('{"message": "x", "needed": 1}', '{"message": "x", "needed": 1}'),
        ('{"message": "cut', '{"message": "cut'),
        ("{braces} in prose", "{braces} in prose"),
    ],
)
def test_wrapped_texts_are_unwrapped_and_nothing_else_is(tmp_path: Path, wrapped: str, text: str) -> None:
    (session,) = read(tmp_path, results([*TALK[:2], said("assistant", wrapped)])).sessions
    assert session.messages[-1].content == text
    assert (session.model is None) == (text != wrapped)  # such files name a model that did not answer


def test_the_model_is_the_one_that_answered_where_the_log_says_so(tmp_path: Path) -> None:
    answered = said("assistant", "Yes.", raw_data={"model": "claude-x"})
    (session,) = read(tmp_path, results([*TALK[:2], answered])).sessions
    assert (session.model, session.provider) == ("claude-x", "anthropic")


def test_only_the_reward_counts(tmp_path: Path) -> None:
    run = results(TALK, reward=0.0)
    run["simulations"][0]["reward_info"]["action_checks"] = [{"action_match": True}]
    assert read(tmp_path, run).sessions[0].reward == 0.0
    for reward in (None, "1", 7):
        assert read(tmp_path, results(TALK, reward=reward)).sessions[0].reward is None


def test_tasks_of_one_customer_share_a_lineage_with_tau_bench(tmp_path: Path) -> None:
    found = [*TALK[:2], said("assistant", None, call("c1", "find_user")), told("c1", "ada_stone_1234"), TALK[4]]
    run = results(found, TALK)
    run["simulations"][1]["task_id"] = 8
    run["tasks"].append({"id": "8", "user_scenario": "You are ada_stone_1234, with card_card_1234567."})
    assert [s.lineage for s in read(tmp_path, run).sessions] == ["tau_bench:ada_stone_1234"] * 2


def test_a_trial_that_never_found_out_belongs_to_the_customer_of_the_others(tmp_path: Path) -> None:
    found = [*TALK[:2], said("assistant", "Are you ada_stone_1234?")]
    assert {s.lineage for s in read(tmp_path, results(TALK, found)).sessions} == {"tau_bench:ada_stone_1234"}


def test_personas_of_one_task_share_a_lineage(tmp_path: Path) -> None:
    lineages = [
        read(tmp_path, results(TALK, task=f"[data]roaming_off[PERSONA:{persona}]")).sessions[0].lineage
        for persona in ("None", "Easy")
    ]
    assert lineages == ["tau2_bench:shop task [data]roaming_off"] * 2


def test_tools_that_the_file_defines_are_kept(tmp_path: Path) -> None:
    signature = {"name": "find_order", "doc": "Finds it.", "params": {"type": "object"}, "returns": {}}
    schema = {
        "type": "function",
        "function": {"name": "find_order", "description": "Finds it.", "parameters": {"type": "object"}},
    }
    for defined in ([signature], {"find_order": signature}, [schema]):
        assert read(tmp_path, results(TALK, tool_defs=defined)).sessions[0].tools == (schema,)
    assert read(tmp_path, results(TALK, tool_defs="none")).sessions[0].tools == ()


def test_of_a_cut_file_the_whole_simulations_are_read(tmp_path: Path) -> None:
    whole = json.dumps(results(TALK, TALK, TALK), indent=1).encode()
    reading = read(tmp_path, whole[:-500])
    assert [s.id for s in reading.sessions] == ["shop:7:0", "shop:7:1"]
    assert next(m.content for m in reading.sessions[0].messages) == "# Policy"
    assert [(bad.line, bad.reason) for bad in reading.lines.bad] == [(13, "cut in the middle")]


def test_a_broken_message_ends_its_session_and_no_other(tmp_path: Path) -> None:
    broken = [*TALK[:2], said("assistant", None, call("c1", order_id=1)), told("c9", "?"), TALK[4]]
    run = results(broken, TALK)
    run["simulations"] += [7, {"messages": []}]
    reading = read(tmp_path, run)
    assert [len(s.messages) for s in reading.sessions] == [4, 7]
    assert [bad.reason for bad in reading.lines.bad] == [
        "a tool result without its call",
        "a simulation without messages",
        "a simulation without messages",
    ]
    assert reading.lines.noise == {"after a bad message": 1}


def test_tool_definitions_beside_the_results_are_not_taken_for_results(tmp_path: Path) -> None:
    path = tmp_path / "tools-data.json"
    path.write_text(json.dumps({"shop": {"description": "x", "tools": {}}}))
    assert reader_of(path) is None
