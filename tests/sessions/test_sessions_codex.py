"""Codex CLI rollouts: bare, 2025 and 2026 lines; what is written twice, aborts, outputs of every shape, compaction."""

import json
from pathlib import Path
from typing import Any

import pytest
from claude_log import adds_up

from locum.sessions.codex import Codex
from locum.sessions.codex.items import HARNESS_PREFIXES
from locum.sessions.lineage import join_lineages
from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of
from locum.types import Message, Session


class Rollout:
    """A rollout in the making."""

    def __init__(self, id_: str = "thread-1", **meta: Any) -> None:
        self.lines: list[str] = []
        self.id = id_
        self.line("session_meta", {"id": id_, "timestamp": "2026-03-01T10:00:00Z", "cwd": "/repo", **meta})

    def line(self, kind: str, payload: dict[str, Any]) -> None:
        n = len(self.lines)
        stamp = f"2026-03-01T10:{n // 60:02}:{n % 60:02}.000Z"
        self.lines.append(json.dumps({"timestamp": stamp, "type": kind, "payload": payload}))

    def item(self, kind: str, **fields: Any) -> None:
        self.line("response_item", {"type": kind, **fields})

    def event(self, kind: str, **fields: Any) -> None:
        self.line("event_msg", {"type": kind, **fields})

    def user(self, text: str, *, typed: bool = True) -> None:
        self.item("message", role="user", content=[{"type": "input_text", "text": text}])
        if typed:
            self.event("user_message", message=text)

    def agent(self, text: str, **fields: Any) -> None:
        self.event("agent_message", message=text)
        self.item("message", role="assistant", content=[{"type": "output_text", "text": text}], **fields)

    def call(self, id_: str, name: str = "shell", **arguments: Any) -> None:
        self.item("function_call", name=name, arguments=json.dumps(arguments), call_id=id_)

    def output(self, id_: str, output: Any = "ok") -> None:
        self.item("function_call_output", call_id=id_, output=output)

    def read(self, folder: Path) -> FileReading:
        path = folder / f"rollout-{self.id}.jsonl"
        path.write_text("\n".join(self.lines) + "\n", encoding="utf-8")
        reader = reader_of(path)
        assert isinstance(reader, Codex)
        reading = reader.read(path)
        adds_up(reading)
        assert reading.lines.total == len(self.lines)
        return reading


def only(reading: FileReading) -> Session:
    (session,) = reading.sessions
    return session


def turns(session: Session) -> list[Message]:
    return [message for message in session.messages if message.origin == "agent"]


def shape(session: Session) -> list[tuple[str, str]]:
    return [(message.origin, message.content) for message in session.messages]


def test_a_conversation_is_read_once_though_it_is_written_twice(tmp_path: Path) -> None:
    log = Rollout(model_provider="openai")
    log.user("<environment_context>\n<cwd>/repo</cwd>", typed=False)
    log.line("turn_context", {"model": "gpt-5-codex", "cwd": "/repo"})
    log.user("List the files.")
    log.event("agent_reasoning", text="**Listing**")
    log.item("reasoning", summary=[], content=None, encrypted_content="gAAA")
    log.agent("Looking.")
    log.call("call_1", command=["ls"])
    log.event("token_count", info=None)
    log.output("call_1", "a.txt")
    log.agent("There is a.txt.")
    log.event("task_complete", last_agent_message="There is a.txt.")
    reading = log.read(tmp_path)
    session = only(reading)
    assert shape(session) == [
        ("harness", "<environment_context>\n<cwd>/repo</cwd>"),
        ("human", "List the files."),
        ("agent", "Looking."),
        ("tool", "a.txt"),
        ("agent", "There is a.txt."),
    ]
    assert turns(session)[0].tool_calls[0].arguments == {"command": ["ls"]}
    assert session.messages[3].tool_name == "shell"
    assert (session.id, session.lineage, session.provider, session.model) == (
        "thread-1",
        "thread-1",
        "openai",
        "gpt-5-codex",
    )
    assert session.started == "2026-03-01T10:00:01.000Z"
    assert (reading.lines.used, reading.lines.unknown, reading.lines.bad) == (6, {}, ())
    assert reading.lines.noise["event: user_message"] == 1


def test_bare_lines_of_2025_are_read(tmp_path: Path) -> None:
    log = Rollout()
    log.lines = [
        json.dumps({"id": "old-1", "timestamp": "2025-08-02T11:00:00Z", "instructions": "Be brief.", "git": {}}),
        json.dumps({"record_type": "state"}),
        json.dumps({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}),
        json.dumps({"type": "reasoning", "summary": [], "encrypted_content": "x"}),
        json.dumps({"type": "function_call", "name": "shell", "arguments": "{}", "call_id": "call_1"}),
        json.dumps({"type": "function_call_output", "call_id": "call_1", "output": "done"}),
        json.dumps({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}),
    ]
    reading = log.read(tmp_path)
    session = only(reading)
    assert session.id == "old-1"
    assert shape(session) == [
        ("system", "Be brief."),
        ("human", "Hi"),
        ("agent", ""),
        ("tool", "done"),
        ("agent", "Hello"),
    ]
    assert session.started == "2025-08-02T11:00:00.000Z"
    assert reading.lines.noise == {"item: reasoning": 1, "state": 1}


def test_the_users_instructions_stand_once(tmp_path: Path) -> None:
    log = Rollout(instructions="Write tests.")
    log.user("<user_instructions>\nWrite tests.\n</user_instructions>", typed=False)
    log.user("Go.")
    log.agent("Done.")
    assert [m.role for m in only(log.read(tmp_path)).messages] == ["user", "user", "assistant"]


def test_base_instructions_and_tools_come_from_the_header(tmp_path: Path) -> None:
    spec = {"name": "find", "description": "Find it.", "inputSchema": {"type": "object"}, "deferLoading": True}
    log = Rollout(base_instructions={"text": "You are Codex."}, dynamic_tools=[spec, 7])
    log.item("message", role="developer", content=[{"type": "input_text", "text": "<permissions instructions>"}])
    log.user("Go.")
    log.agent("Done.", phase="final_answer")
    reading = log.read(tmp_path)
    session = only(reading)
    assert shape(session)[:2] == [("system", "You are Codex."), ("system", "<permissions instructions>")]
    assert [m.role for m in session.messages] == ["system", "system", "user", "assistant"]
    assert session.tools == (
        {
            "type": "function",
            "function": {"name": "find", "description": "Find it.", "parameters": {"type": "object"}},
        },
    )
    assert "session_meta" not in reading.lines.noise


@pytest.mark.parametrize("prefix", HARNESS_PREFIXES)
def test_what_the_client_writes_under_the_users_role_is_not_human(tmp_path: Path, prefix: str) -> None:
    log = Rollout()
    log.user(f"{prefix} and more", typed=False)
    log.agent("Hm.")
    assert only(log.read(tmp_path)).messages[0].origin == "harness"


def test_the_events_say_who_typed(tmp_path: Path) -> None:
    log = Rollout()
    log.user("A fragment that the client made up in a later version", typed=False)
    log.user("Fix the bug in the parser.")
    log.agent("Fixed.")
    assert [m.origin for m in only(log.read(tmp_path)).messages] == ["harness", "human", "agent"]
    for typed in (False, True):  # without any such event, what reads like a human is one
        log = Rollout()
        log.user("Fix it.", typed=typed)
        log.agent("Fixed.")
        assert only(log.read(tmp_path)).messages[0].origin == "human"


def test_an_editors_context_stands_apart_from_the_request(tmp_path: Path) -> None:
    log = Rollout()
    log.user("# Context from my IDE setup:\n\n## Open tabs:\n- a.py\n\n## My request for Codex:\nRename a.\n")
    log.agent("Done.")
    assert shape(only(log.read(tmp_path)))[:2] == [
        ("harness", "# Context from my IDE setup:\n\n## Open tabs:\n- a.py"),
        ("human", "Rename a."),
    ]


def test_parts_of_one_item_are_told_apart(tmp_path: Path) -> None:
    log = Rollout()
    texts = ["# AGENTS.md instructions for /repo\n<INSTRUCTIONS>", "<environment_context>", "<image name=a>", "Look."]
    parts: list[dict[str, Any]] = [{"type": "input_text", "text": text} for text in texts]
    log.item("message", role="user", content=[*parts, {"type": "input_image", "image_url": "data:"}])
    log.agent("A cat.")
    session = only(log.read(tmp_path))
    assert [m.origin for m in session.messages] == ["harness", "human", "agent"]
    assert session.messages[1].content == "Look.\n\n[image]"
    assert turns(session)[0].signals == ("unreadable",)


def test_parallel_calls_are_one_message_and_outputs_may_interleave(tmp_path: Path) -> None:
    log = Rollout()
    log.user("Go.")
    log.agent("Both.", phase="commentary")
    log.call("call_a", command="ls a")
    log.item("reasoning", summary=[])
    log.call("call_b", command="ls b")
    log.output("call_b", "b")
    log.output("call_a", "a")
    log.call("call_c")
    log.output("call_c", "c")
    log.output("call_c", "again")
    log.output("call_x", "whose?")
    reading = log.read(tmp_path)
    session = only(reading)
    assert [[c.id for c in m.tool_calls] for m in turns(session)] == [["call_a", "call_b"], ["call_c"]]
    assert [m.content for m in session.messages if m.role == "tool"] == ["a", "b", "c"]
    assert reading.lines.noise["second result"] == reading.lines.noise["result without its call"] == 1


@pytest.mark.parametrize(
    ("output", "text", "signal"),
    [
        ('{"output":"hi\\n","metadata":{"exit_code":0,"duration_seconds":0.1}}', "hi\n", None),
        (
            '{"output":"no rule","metadata":{"exit_code":2,"duration_seconds":0.1}}',
            "Exit code: 2\nno rule",
            "tool_error",
        ),
        ("Exit code: 0\nWall time: 1 seconds\nOutput:\nok", None, None),
        ("Exit code: 127\nWall time: 1 seconds\nOutput:\nsh: x", None, "tool_error"),
        ("Chunk ID: 9f\nWall time: 0.1 seconds\nProcess exited with code 0\nOutput:\nx", None, None),
        ("Chunk ID: 9f\nWall time: 0.1 seconds\nProcess exited with code 1\nOutput:\nx", None, "tool_error"),
        ("Wall time: 0.1 seconds\nOutput:\nExit code: 3", None, None),
        ("Plan updated", None, None),
        ("patch rejected by user", None, "rejected"),
        ("exec command rejected by user", None, "rejected"),
        ("aborted by user after 3.1s", None, "interrupted"),
        ("aborted", None, "interrupted"),
        ("failed in sandbox MacosSeatbelt with execution error: sandbox denied exec", None, "tool_error"),
        ("execution error: No such file or directory (os error 2)", None, "tool_error"),
        ("failed to parse function arguments: missing field `command`", None, "tool_error"),
        ("unsupported call: frobnicate", None, "tool_error"),
        ("apply_patch verification failed: no such file", None, "tool_error"),
        ("err: tool call error", None, "tool_error"),
        ({"content": "boom", "success": False}, "boom", "tool_error"),
        ({"content": "fine", "success": True}, "fine", None),
        ([{"type": "input_text", "text": "Script completed"}, {"type": "input_text", "text": "{}"}], None, None),
        ([{"type": "input_text", "text": '{"exit_code":2,"output":"failed"}'}], None, "tool_error"),
        ([{"type": "input_text", "text": '{"note":"exit_code=7 is prose"}'}], None, None),
        ('{"files": 3}', '{"files": 3}', None),
        ("", "", None),
        (None, "", None),
    ],
)
def test_every_shape_of_output_and_what_it_says(tmp_path: Path, output: Any, text: str | None, signal: str) -> None:
    log = Rollout()
    log.user("Go.")
    log.call("call_1")
    log.output("call_1", output)
    log.agent("Hm.")
    session = only(log.read(tmp_path))
    first, second = turns(session)
    assert first.signals == ((signal,) if signal else ())
    assert second.signals == ()
    result = session.messages[2]
    if text is not None:
        assert result.content == text
    elif isinstance(output, str):
        assert result.content == output
    else:
        assert result.content == "\n".join(part["text"] for part in output)


def test_an_image_in_an_output_makes_the_answer_unreadable(tmp_path: Path) -> None:
    log = Rollout()
    log.user("Go.")
    log.call("call_1", name="view_image")
    log.output("call_1", [{"type": "input_image", "image_url": "data:"}])
    log.agent("A cat.")
    assert turns(only(log.read(tmp_path)))[1].signals == ("unreadable",)


def test_other_kinds_of_calls(tmp_path: Path) -> None:
    log = Rollout()
    log.user("Go.")
    log.item("custom_tool_call", name="apply_patch", input="*** Begin Patch", call_id="c1", status="completed")
    log.item("custom_tool_call_output", call_id="c1", output='{"output":"Done","metadata":{"exit_code":0}}')
    action = {"type": "exec", "command": ["ls"], "timeout_ms": None}
    log.item("local_shell_call", call_id="c2", status="completed", action=action)
    log.item("function_call_output", call_id="c2", output="x")
    log.item("function_call", namespace="mcp__mail", name="send", arguments="{}", call_id="c3")
    log.output("c3")
    log.item("tool_search_call", call_id="c4", execution="client", arguments={"query": "mail"})
    log.item("tool_search_output", call_id="c4", status="completed", execution="client", tools=[{"name": "send"}])
    session = only(log.read(tmp_path))
    assert [(c.name, c.arguments) for m in turns(session) for c in m.tool_calls] == [
        ("apply_patch", {"input": "*** Begin Patch"}),
        ("local_shell", {"command": ["ls"], "timeout_ms": None}),
        ("mcp__mail.send", {}),
        ("tool_search", {"query": "mail"}),
    ]
    assert [m.content for m in session.messages if m.role == "tool"] == ["Done", "x", "ok", '[{"name":"send"}]']


def test_what_the_providers_own_tools_found_is_not_in_the_log(tmp_path: Path) -> None:
    log = Rollout()
    log.user("What is new?")
    log.item("web_search_call", status="completed", action={"type": "search", "query": "news"})
    log.agent("This and that.")
    assert turns(only(log.read(tmp_path)))[0].signals == ("unreadable",)


def test_arguments_that_are_no_json_were_written_by_the_agent(tmp_path: Path) -> None:
    log = Rollout()
    log.user("Go.")
    log.item("function_call", name="shell", arguments='{"command": [', call_id="c1")
    log.output("c1", "failed to parse function arguments: EOF")
    reading = log.read(tmp_path)
    assert reading.lines.bad == ()
    (turn,) = turns(only(reading))
    assert (turn.tool_calls[0].arguments, turn.signals) == ({"arguments": '{"command": ['}, ("tool_error",))


def test_an_abort_marks_what_was_being_said(tmp_path: Path) -> None:
    log = Rollout()
    log.user("Go.")
    log.call("call_1")
    log.output("call_1")
    log.event("turn_aborted", reason="interrupted")
    log.call("call_2")  # what the agent was saying is written after the event
    log.output("call_2", "patch rejected by user")
    log.user("Why?")
    log.agent("Because.")
    log.call("call_3")
    log.event("turn_aborted", reason="interrupted")
    log.user("<turn_aborted>\nThe user interrupted.", typed=False)
    log.user("Stop that.")
    log.event("turn_aborted", reason="interrupted")
    log.user("Now.")
    log.agent("Yes.")
    reading = log.read(tmp_path)
    assert [m.signals for m in turns(only(reading))] == [
        (),
        ("interrupted", "rejected"),
        ("interrupted", "corrected"),
        (),
    ]
    assert reading.lines.noise["event: turn_aborted"] == 1  # the last one stopped nothing


def test_an_abort_at_the_end_marks_the_last_message(tmp_path: Path) -> None:
    log = Rollout()
    log.user("Go.")
    log.agent("I was about to")
    log.event("turn_aborted", reason="interrupted")
    assert turns(only(log.read(tmp_path)))[0].signals == ("interrupted",)


def test_events_add_how_commands_and_patches_ended(tmp_path: Path) -> None:
    log = Rollout()
    log.user("Go.")
    log.call("call_1")
    log.event("exec_command_end", call_id="call_1", exit_code=1)
    log.output("call_1", "no header")
    log.call("call_2")
    log.event("patch_apply_end", call_id="call_2", success=False)
    log.output("call_2")
    log.call("call_3")
    log.event("exec_command_end", call_id="call_3", exit_code=0)
    log.output("call_3")
    assert [m.signals for m in turns(only(log.read(tmp_path)))] == [("tool_error",), ("tool_error",), ()]


def test_a_rollback_takes_the_last_messages_of_the_human_back(tmp_path: Path) -> None:
    log = Rollout()
    log.user("One.")
    log.agent("First.")
    log.user("Two.")
    log.agent("Second.")
    log.user("Three.")
    log.agent("Third.")
    log.event("thread_rolled_back", num_turns=2)
    log.user("Two, differently.")
    log.agent("Other.")
    session = only(log.read(tmp_path))
    assert [(m.content, m.signals) for m in turns(session)] == [
        ("First.", ()),
        ("Second.", ("rewound",)),
        ("Third.", ("rewound",)),
        ("Other.", ()),
    ]


def test_a_correction_is_seen(tmp_path: Path) -> None:
    log = Rollout()
    log.user("Add it.")
    log.agent("Added to a.py.")
    log.user("No, that's the wrong file.")
    log.agent("Moved.")
    assert [m.signals for m in turns(only(log.read(tmp_path)))] == [("corrected",), ()]


def test_compaction_begins_a_new_window(tmp_path: Path) -> None:
    log = Rollout()
    log.user("Fix the whole parser, please.")
    log.agent("Fixed.")
    part = [{"type": "input_text", "text": "Fix the whole parser, please."}]
    summary = [{"type": "input_text", "text": "Another language model started to solve this problem. Summary: fixed."}]
    history = [
        {"type": "message", "role": "user", "content": part},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Fixed."}]},
        {"type": "message", "role": "user", "content": summary},
    ]
    log.line("compacted", {"message": "", "replacement_history": history})
    log.user("And the lexer.")
    log.agent("Done.")
    log.line("compacted", {"message": "Parser and lexer are fixed."})
    log.agent("All is done.")
    log.line("compacted", {"message": "", "replacement_history": [{"type": "compaction", "encrypted_content": "x"}]})
    log.agent("Still.")
    sessions = log.read(tmp_path).sessions
    assert [s.id for s in sessions] == ["thread-1", "thread-1#2", "thread-1#3", "thread-1#4"]
    assert {s.lineage for s in sessions} == {"thread-1"}
    assert [m.origin for m in sessions[1].messages] == ["human", "harness", "harness", "human", "agent"]
    assert shape(sessions[2]) == [("harness", "Parser and lexer are fixed."), ("agent", "All is done.")]
    assert turns(sessions[3])[0].signals == ("unreadable",)


def test_forks_and_sub_agents_share_the_lineage_of_their_root(tmp_path: Path) -> None:
    def thread(id_: str, **meta: Any) -> Rollout:
        log = Rollout(id_, **meta)
        log.user(f"Task of {id_}.")
        log.agent("Done.")
        return log

    fork = thread("fork", forked_from_id="root")
    copied = thread("copied")
    copied.line("session_meta", {"id": "root", "timestamp": "2026-03-01T09:00:00Z", "cwd": "/repo"})
    spawn = {"subagent": {"thread_spawn": {"parent_thread_id": "fork", "depth": 1}}}
    worker = thread("worker", source=spawn)
    resumed = thread("root")
    resumed.line("session_meta", {"id": "root", "cwd": "/repo"})
    sessions = [only(log.read(tmp_path)) for log in (fork, copied, worker, resumed, thread("alone", source="cli"))]
    assert [s.lineage for s in sessions] == ["root", "root", "fork", "root", "alone"]
    assert sessions[2].messages[0].origin == "harness"  # an agent prompted it, though the events call it a user
    joined = {s.id: s.lineage for s in join_lineages(sessions)}
    assert {joined[name] for name in ("fork", "copied", "worker", "root")} == {"fork"}
    assert joined["alone"] == "alone"


def test_words_between_agents_are_not_human(tmp_path: Path) -> None:
    log = Rollout()
    log.line("inter_agent_communication", {"author": "/root", "recipient": "/root/a", "content": "Look at a.py."})
    log.item("agent_message", author="/root", recipient="/root/a", content=[{"type": "input_text", "text": "Hurry."}])
    log.line("inter_agent_communication_metadata", {"trigger_turn": True})
    log.agent("Looked.")
    log.item("agent_message", author="/root", content=[{"type": "encrypted_content", "encrypted_content": "x"}])
    log.agent("Hm.")
    session = only(log.read(tmp_path))
    assert [m.origin for m in session.messages] == ["harness", "harness", "agent", "harness", "agent"]
    assert turns(session)[1].signals == ("unreadable",)


def test_ids_are_told_apart_across_sessions(tmp_path: Path) -> None:
    log = Rollout()
    log.user("Go.")
    log.agent("Yes.", id="m1")
    log.user("On.")
    log.call("call_0123456789abcdef")
    assert [m.id for m in turns(only(log.read(tmp_path)))] == ["thread-1:m1", "call_0123456789abcdef"]


def test_unknown_kinds_are_named_and_bad_lines_numbered(tmp_path: Path) -> None:
    log = Rollout()
    log.user("Go.")
    log.line("new_thing", {"x": 1})
    log.event("brand_new")
    log.item("hologram")
    log.agent("Yes.")
    log.lines += [
        "[1, 2]",
        '"text"',
        json.dumps({"type": "response_item", "payload": 7}),
        json.dumps({"type": "response_item", "payload": {"type": "function_call", "name": "x", "arguments": "{}"}}),
        json.dumps({"type": "response_item", "payload": {"type": "function_call_output", "output": "x"}}),
        json.dumps({"type": "response_item", "payload": {"type": "message", "role": "user", "content": 7}}),
        json.dumps({"type": "response_item", "payload": {"type": "message", "role": "robot", "content": ""}}),
        json.dumps({"odd": True}),
        "",
        '{"timestamp":"2026-03-01T10:00:00Z","type":"resp',
    ]
    reading = log.read(tmp_path)
    assert reading.lines.unknown == {"event: brand_new": 1, "item: hologram": 1, "new_thing": 1}
    assert [bad.line for bad in reading.lines.bad] == [*range(9, 17), 18]
    assert reading.lines.noise["blank"] == 1
    assert len(turns(only(reading))) == 1


def test_no_single_line_is_too_much(tmp_path: Path) -> None:
    log = Rollout()
    log.user("Go.")
    log.call("call_1")
    log.output("call_1", "x" * 5_000_000)
    log.item("function_call", name="deep", arguments="{}", call_id="call_2")
    log.lines.append('{"type":"response_item","payload":' + '{"a":' * 5000 + "1" + "}" * 5001)
    log.lines.append(json.dumps({"type": "response_item", "payload": {"type": "message", "role": "assistant"}}))
    reading = log.read(tmp_path)
    assert [(bad.line, bad.reason) for bad in reading.lines.bad] == [(7, "nested too deeply")]
    assert len(only(reading).messages[2].content) == 5_000_000


def test_bytes_that_are_no_text_and_two_records_on_a_line(tmp_path: Path) -> None:
    log = Rollout()
    log.user("Go.")
    log.agent("Yes.")
    path = tmp_path / "r.jsonl"
    lines = [line.encode() for line in log.lines]
    path.write_bytes(b"\xef\xbb\xbf" + lines[0] + b"\n" + lines[1] + lines[2] + b"\n" + lines[4] + b'\n{"a":"\xff"}\n')
    reading = Codex().read(path)
    adds_up(reading)
    assert [(bad.line, bad.reason) for bad in reading.lines.bad] == [(4, "not UTF-8")]
    assert [m.origin for m in only(reading).messages] == ["human", "agent"]


def test_a_long_first_line_is_recognised(tmp_path: Path) -> None:
    log = Rollout(base_instructions={"text": "x" * 100_000})
    log.user("Go.")
    log.agent("Yes.")
    assert only(log.read(tmp_path)).messages[0].origin == "system"
