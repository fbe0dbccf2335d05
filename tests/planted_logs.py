"""Writes a log of every format around given texts, for the test that no secret gets through any of them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

Json = dict[str, Any]


class Texts(NamedTuple):
    """What stands in each place of a session."""

    asked: str = ""
    argument: str = ""
    result: str = ""
    said: str = ""


class Writer(NamedTuple):
    """How to write a log of one format, and which of the places it has."""

    write: Callable[[Path, Texts], None]
    places: tuple[str, ...] = Texts._fields


def arguments(texts: Texts) -> Json:
    """Deep inside, and once more in a JSON string."""
    return {"path": "a.py", "edits": [{"new": texts.argument}], "body": json.dumps({"note": texts.argument})}


def chat(texts: Texts) -> list[Json]:
    """The conversation as OpenAI has it."""
    call = {"name": "write", "arguments": json.dumps(arguments(texts))}
    return [
        {"role": "system", "content": "You write."},
        {"role": "user", "content": texts.asked},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": call}]},
        {"role": "tool", "tool_call_id": "c1", "name": "write", "content": texts.result},
        {"role": "assistant", "content": texts.said},
    ]


TOOL = {"type": "function", "function": {"name": "write", "parameters": {"type": "object", "properties": {}}}}


def stamp(second: int) -> str:
    return f"2026-03-01T10:00:{second:02}.000Z"


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def write_lines(path: Path, *records: Any) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def claude_code(folder: Path, texts: Texts) -> None:
    def lines() -> Iterator[Json]:
        contents: list[tuple[str, Any]] = [
            ("user", texts.asked),
            ("assistant", [{"type": "tool_use", "id": "c1", "name": "Write", "input": arguments(texts)}]),
            ("user", [{"type": "tool_result", "tool_use_id": "c1", "content": texts.result, "is_error": False}]),
            ("assistant", [{"type": "text", "text": texts.said}]),
        ]
        for at, (role, content) in enumerate(contents, 1):
            message: Json = {"role": role, "content": content}
            message |= {"id": f"m{at}", "type": "message", "model": "claude-x"} if role == "assistant" else {}
            line = {"type": role, "uuid": f"u{at}", "parentUuid": f"u{at - 1}" if at > 1 else None, "message": message}
            yield line | {"sessionId": "s-1", "timestamp": stamp(at), "isSidechain": False, "version": "2.1.12"}

    write_lines(folder / "s-1.jsonl", *lines())


def codex(folder: Path, texts: Texts) -> None:
    def item(at: int, kind: str, **fields: Any) -> Json:
        return {"timestamp": stamp(at), "type": "response_item", "payload": {"type": kind, **fields}}

    meta = {"timestamp": stamp(0), "type": "session_meta", "payload": {"id": "t-1", "timestamp": stamp(0), "cwd": "/x"}}
    call = item(2, "function_call", name="shell", arguments=json.dumps(arguments(texts)), call_id="c1")
    write_lines(
        folder / "rollout-t-1.jsonl",
        meta,
        item(1, "message", role="user", content=[{"type": "input_text", "text": texts.asked}]),
        call,
        item(3, "function_call_output", call_id="c1", output=texts.result),
        item(4, "message", role="assistant", content=[{"type": "output_text", "text": texts.said}]),
    )


def pi(folder: Path, texts: Texts) -> None:
    who = {"provider": "anthropic", "model": "claude-x"}
    contents: list[Json] = [
        {"role": "user", "content": texts.asked},
        {
            "role": "assistant",
            "stopReason": "toolUse",
            **who,
            "content": [{"type": "toolCall", "id": "c1", "name": "write", "arguments": arguments(texts)}],
        },
        {
            "role": "toolResult",
            "toolCallId": "c1",
            "toolName": "write",
            "isError": False,
            "content": [{"type": "text", "text": texts.result}],
        },
        {"role": "assistant", "stopReason": "stop", **who, "content": [{"type": "text", "text": texts.said}]},
    ]
    entries = [
        {"type": "message", "id": f"e{at}", "parentId": f"e{at - 1}" if at > 1 else None, "timestamp": stamp(at)}
        | {"message": message}
        for at, message in enumerate(contents, 1)
    ]
    write_lines(
        folder / "a.jsonl", {"type": "session", "version": 3, "id": "s", "timestamp": stamp(0), "cwd": "/"}, *entries
    )


def gemini_cli(folder: Path, texts: Texts) -> None:
    response = {"functionResponse": {"id": "c1", "name": "write", "response": {"output": texts.result}}}
    call = {"id": "c1", "name": "write", "args": arguments(texts), "status": "success", "result": [response]}
    messages = [
        {"id": "1", "timestamp": stamp(1), "type": "user", "content": texts.asked},
        {"id": "2", "timestamp": stamp(2), "type": "gemini", "content": "", "model": "gemini-x", "toolCalls": [call]},
        {"id": "3", "timestamp": stamp(3), "type": "gemini", "content": texts.said, "model": "gemini-x"},
    ]
    write_json(folder / "a.json", {"sessionId": "s", "projectHash": "ab", "startTime": stamp(0), "messages": messages})


def opencode(folder: Path, texts: Texts) -> None:
    state = {"status": "completed", "input": arguments(texts), "output": texts.result, "title": "x", "metadata": {}}
    state |= {"time": {"start": 1, "end": 2}}

    def message(at: int, role: str, *parts: Json) -> Json:
        info: Json = {
            "id": f"msg_{at}",
            "sessionID": "ses_1",
            "role": role,
            "time": {"created": 1_790_000_000_000 + at},
        }
        info |= {"modelID": "claude-x", "providerID": "anthropic", "finish": "stop"} if role == "assistant" else {}
        known = {"sessionID": "ses_1", "messageID": f"msg_{at}"}
        return {"info": info, "parts": [{"id": f"prt_{at}{n}", **known, **part} for n, part in enumerate(parts)]}

    messages = [
        message(1, "user", {"type": "text", "text": texts.asked}),
        message(2, "assistant", {"type": "tool", "callID": "c1", "tool": "write", "state": state}),
        message(3, "assistant", {"type": "text", "text": texts.said}),
    ]
    info = {"id": "ses_1", "projectID": "p", "directory": "/x", "time": {"created": 1_790_000_000_000}}
    write_json(folder / "a.json", {"info": info, "messages": messages})


def x_archive(folder: Path, texts: Texts) -> None:
    tweet = {"id_str": "11", "full_text": texts.said, "created_at": "Sun Mar 01 10:00:00 +0000 2026"}
    text = "window.YTD.tweets.part0 = " + json.dumps([{"tweet": tweet}])
    (folder / "tweets.js").write_text(text, encoding="utf-8")


def tau_bench(folder: Path, texts: Texts) -> None:
    info = {"task": {"user_id": "ada_1", "instruction": "You are Ada."}}
    write_json(folder / "a.json", [{"task_id": 3, "reward": 1.0, "info": info, "traj": chat(texts), "trial": 0}])


def tau2_bench(folder: Path, texts: Texts) -> None:
    call = {"id": "c1", "name": "write", "arguments": arguments(texts), "requestor": "assistant"}
    messages: list[Json] = [
        {"role": "assistant", "content": "Hi!", "tool_calls": None},
        {"role": "user", "content": texts.asked, "tool_calls": None},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"id": "c1", "role": "tool", "content": texts.result, "requestor": "assistant", "error": False},
        {"role": "assistant", "content": texts.said, "tool_calls": None},
    ]
    environment = {"domain_name": "shop", "policy": "# Policy", "tool_defs": None}
    info = {"user_info": {}, "agent_info": {"llm": "openai/gpt-x"}, "environment_info": environment}
    simulation = {"id": "s", "task_id": "7", "trial": 0, "reward_info": {"reward": 1.0}, "messages": messages}
    tasks = [{"id": "7", "user_scenario": {"instructions": {"known_info": "You are Ada."}}}]
    write_json(folder / "a.json", {"timestamp": stamp(0), "info": info, "tasks": tasks, "simulations": [simulation]})


def swe_agent(folder: Path, texts: Texts) -> None:
    history = [{**message, "agent": "main"} for message in chat(texts)]
    run = {"environment": "main", "trajectory": [], "history": history, "info": {"exit_status": "submitted"}}
    write_json(folder / "a.traj", run)


def openhands(folder: Path, texts: Texts) -> None:
    def answer(id_: str, message: Json) -> Json:
        return {"id": id_, "model": "vendor/claude-x", "choices": [{"message": message, "finish_reason": "stop"}]}

    called, said = chat(texts)[2], chat(texts)[4]
    metadata = {"function_name": "write", "tool_call_id": "c1", "model_response": answer("r1", called)}
    history: list[Json] = [
        {"id": 1, "timestamp": stamp(1), "source": "user", "action": "message", "args": {"content": texts.asked}},
        {"id": 2, "timestamp": stamp(2), "source": "agent", "action": "run", "args": arguments(texts)}
        | {"tool_call_metadata": metadata},
        {"id": 3, "source": "agent", "observation": "run", "cause": 2, "content": texts.result},
        {"id": 4, "timestamp": stamp(4), "source": "agent", "action": "message", "args": {"content": texts.said}}
        | {"tool_call_metadata": None, "llm_metrics": None, "model_response": answer("r2", said)},
    ]
    record = {"instance_id": "r-1", "instruction": texts.asked, "history": history, "error": None}
    write_lines(folder / "output.jsonl", {**record, "metadata": {"llm_config": {"model": "x/y"}}, "test_result": {}})


def aider(folder: Path, texts: Texts) -> None:
    asked = "".join(f"#### {line}  \n" for line in texts.asked.split("\n"))
    header = "# aider chat started at 2026-01-02 10:00:00\n\n> Aider v0.60.0  \n> Main model: claude-x  \n"
    (folder / "a.md").write_text(f"{header}\n{asked}\n{texts.said}\n\n> Tokens: 1 sent, 2 received.  \n")


def request_log(folder: Path, texts: Texts) -> None:
    *history, said = chat(texts)

    def call(history: list[Json], message: Json) -> Json:
        response = {"id": "x", "model": "gpt-x", "choices": [{"message": message, "finish_reason": "stop"}]}
        return {"messages": history, "tools": [TOOL], "response": response, "timestamp": 1767348000.5}

    write_lines(folder / "calls.jsonl", call(history[:2], history[2]), call(history, said))


def sharegpt(folder: Path, texts: Texts) -> None:
    call = json.dumps({"name": "write", "arguments": arguments(texts)})
    said = [("human", texts.asked), ("function_call", call), ("observation", texts.result), ("gpt", texts.said)]
    write_json(folder / "a.json", [{"conversations": [{"from": who, "value": value} for who, value in said]}])


def alpaca(folder: Path, texts: Texts) -> None:
    write_json(folder / "a.json", [{"instruction": texts.asked, "input": "", "output": texts.said}])


def openai_chat(folder: Path, texts: Texts) -> None:
    write_lines(folder / "a.jsonl", {"messages": chat(texts), "tools": [TOOL]})


def langsmith(folder: Path, texts: Texts) -> None:
    messages = chat(texts)

    def run(upto: int) -> Json:
        ids = {"id": f"r{upto}", "trace_id": "t1", "parent_run_id": "root", "run_type": "llm", "name": "ChatOpenAI"}
        order = {"dotted_order": f"20260901T100000000000Zroot.20260901T10000{upto}000000Zr{upto}"}
        times = {"start_time": f"2026-09-01T10:00:0{upto}.000000", "end_time": None, "session_id": "p"}
        inputs = {"model": "gpt-x", "messages": messages[:upto], "tools": [TOOL]}
        choice = {"index": 0, "message": messages[upto], "finish_reason": "stop"}
        outputs = {"model": "gpt-x", "choices": [choice]}
        extra = {"metadata": {"ls_model_name": "gpt-x", "thread_id": "k"}, "invocation_params": {"model": "gpt-x"}}
        told = {"inputs": inputs, "outputs": outputs, "extra": extra, "status": "success", "error": None}
        return {**ids, **order, **times, **told, "feedback_stats": {}}

    write_lines(folder / "runs.jsonl", run(2), run(4))


def langfuse(folder: Path, texts: Texts) -> None:
    messages = chat(texts)

    def observation(upto: int) -> Json:
        ids = {"id": f"g{upto}", "trace_id": "t1", "type": "GENERATION", "parent_observation_id": "root"}
        times: Json = {"start_time": f"2026-09-01 10:00:0{upto}.000000", "end_time": None, "metadata": {}}
        given = json.dumps({"messages": messages[:upto], "tools": [TOOL]})
        told = {"name": "chat", "input": given, "output": json.dumps(messages[upto]), "provided_model_name": "gpt-x"}
        return {**ids, **times, **told, "level": "DEFAULT", "status_message": "", "usage_details": {}}

    write_lines(folder / "observations.jsonl", observation(2), observation(4))


def spans(folder: Path, *attributes: Json) -> None:
    made = [
        {"traceId": "t1", "spanId": f"s{at}", "parentSpanId": "root", "name": "chat", "status": {}}
        | {"startTimeUnixNano": str(1_790_000_000_000_000_000 + at)}
        | {"attributes": [{"key": key, "value": {"stringValue": value}} for key, value in one.items()]}
        for at, one in enumerate(attributes)
    ]
    scope = {"scope": {}, "spans": made}
    write_lines(folder / "spans.jsonl", {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [scope]}]})


def otel_genai(folder: Path, texts: Texts) -> None:
    def parts(message: Json) -> Json:
        if message["role"] == "tool":
            part: Json = {"type": "tool_call_response", "id": "c1", "response": message["content"]}
        elif message.get("tool_calls"):
            part = {"type": "tool_call", "id": "c1", "name": "write", "arguments": arguments(texts)}
        else:
            part = {"type": "text", "content": message["content"]}
        return {"role": message["role"], "parts": [part]}

    messages = [parts(message) for message in chat(texts)]
    common = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": "gpt-x"}

    def span(upto: int) -> Json:
        told = {"gen_ai.input.messages": messages[:upto], "gen_ai.output.messages": [messages[upto]]}
        return common | {key: json.dumps(value) for key, value in told.items()}

    spans(folder, span(2), span(4))


def openinference(folder: Path, texts: Texts) -> None:
    messages = chat(texts)

    def span(upto: int) -> Json:
        told: Json = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-x", "session.id": "k"}
        for at, message in enumerate(messages[: upto + 1]):
            place = f"llm.input_messages.{at}.message" if at < upto else "llm.output_messages.0.message"
            told[f"{place}.role"] = message["role"]
            if message["content"] is not None:
                told[f"{place}.content"] = message["content"]
            if message["role"] == "tool":
                told[f"{place}.tool_call_id"] = "c1"
            for call in message.get("tool_calls", ()):
                inside = f"{place}.tool_calls.0.tool_call"
                told |= {f"{inside}.id": "c1", f"{inside}.function.name": "write"}
                told[f"{inside}.function.arguments"] = call["function"]["arguments"]
        return told

    spans(folder, span(2), span(4))


def github_reviews(folder: Path, texts: Texts) -> None:
    api = "https://api.github.com/repos/acme/shop"

    def comment(id_: int, login: str, body: str, **more: Any) -> Json:
        user = {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"}
        where = {"path": "a.py", "line": None, "original_line": 3, "diff_hunk": f"@@ -1 +1,9 @@\n+{texts.result}"}
        times = {"created_at": f"2026-03-01T10:0{id_}:00Z", "pull_request_url": f"{api}/pulls/7"}
        ids = {"id": id_, "node_id": f"PRRC_{id_}", "pull_request_review_id": 900}
        return {**ids, "user": user, "body": body, **where, **times, **more}

    comments = [comment(1, "ada", texts.asked), comment(2, "helper[bot]", texts.said, in_reply_to_id=1)]
    write_json(folder / "comments.json", comments)


def essay(folder: Path, texts: Texts) -> None:
    prose = "I have kept a notebook for years, and I still think that the habit matters more than what is in it. " * 3
    body = "\n\n".join([prose.strip()] * 3 + [f"My notes of that day were these:\n{texts.said}"] + [prose.strip()] * 3)
    (folder / "notebook.md").write_text(f"---\ntitle: A notebook\ndate: 2026-03-01\n---\n\n{body}\n", encoding="utf-8")


WRITERS: dict[str, Writer] = {
    "claude_code": Writer(claude_code),
    "codex": Writer(codex),
    "pi_openclaw": Writer(pi),
    "gemini_cli": Writer(gemini_cli),
    "opencode": Writer(opencode),
    "x_archive": Writer(x_archive, ("said",)),
    "tau_bench": Writer(tau_bench),
    "tau2_bench": Writer(tau2_bench),
    "swe_agent": Writer(swe_agent),
    "openhands": Writer(openhands),
    "aider": Writer(aider, ("asked", "said")),
    "langsmith": Writer(langsmith),
    "langfuse": Writer(langfuse),
    "openinference": Writer(openinference),
    "otel_genai": Writer(otel_genai),
    "request_log": Writer(request_log),
    "github_reviews": Writer(github_reviews, ("asked", "result", "said")),
    "sharegpt": Writer(sharegpt),
    "alpaca": Writer(alpaca, ("asked", "said")),
    "openai_chat": Writer(openai_chat),
    "essay": Writer(essay, ("said",)),
}
