"""A server that speaks as much of the OpenAI and Anthropic APIs as Locum uses, and is as strict as they are."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

from loopback import listening

Said = tuple[str, list[tuple[str, dict[str, Any]]]]
"""Text, and calls as (name, arguments)."""


class FakeProvider:
    """What it was sent, and how it shall answer."""

    key = "key-of-the-agent"

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[dict[str, Any]] = []
        self.answer: Callable[[dict[str, Any]], Said] = lambda body: ("Done. It is in.", [])
        self.failures: list[tuple[int, dict[str, str], str]] = []
        """Status, headers and message of the next answers, before it answers as it should."""
        self.slow = 0.0
        self.breaks_off = False
        """It announces more than it sends, and hangs up."""
        self.finish: str | None = None
        self.nonsense: bytes | None = None

    def respond(self, path: str, headers: Any, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        self.bodies.append(body)
        if self.failures:
            status, extra, message = self.failures.pop(0)
            return status, extra, json.dumps({"error": {"message": message, "type": "error"}}).encode()
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if given != self.key:
            message = f"Incorrect API key provided: {given}"
            return 401, {}, json.dumps({"error": {"message": message}}).encode()
        if self.nonsense is not None:
            return 200, {}, self.nonsense
        speak = {"/v1/chat/completions": self._openai, "/v1/messages": self._anthropic}.get(path)
        if speak is None:
            return 404, {}, json.dumps({"error": {"message": "no such path"}}).encode()
        wrong = _mistake(path, body)
        if wrong:
            return 400, {}, json.dumps({"error": {"message": wrong}}).encode()
        return 200, {}, json.dumps(speak(*self.answer(body))).encode()

    def _openai(self, text: str, calls: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
        made = [
            {"id": f"x{at}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for at, (name, arguments) in enumerate(calls)
        ]
        message = {"role": "assistant", "content": text or None, **({"tool_calls": made} if made else {})}
        finish = self.finish or ("tool_calls" if made else "stop")
        return {
            "id": "c1",
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107},
        }

    def _anthropic(self, text: str, calls: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
        said = [{"type": "text", "text": text}] if text else []
        made = [
            {"type": "tool_use", "id": f"x{at}", "name": name, "input": arguments}
            for at, (name, arguments) in enumerate(calls)
        ]
        return {
            "id": "m1",
            "type": "message",
            "role": "assistant",
            "content": [*said, *made],
            "stop_reason": self.finish or ("tool_use" if made else "end_turn"),
            "usage": {"input_tokens": 100, "output_tokens": 7},
        }


def _mistake(path: str, body: dict[str, Any]) -> str:
    """What the real servers would refuse in a request; empty where they would take it."""
    if path == "/v1/messages":
        return _anthropic_mistake(body)
    if "max_tokens" in body:
        return "use max_completion_tokens"
    waiting: list[str] = []
    for message in body["messages"]:
        if message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                return "a tool message without its call"
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            return "a call without its result"
        waiting = [call["id"] for call in message.get("tool_calls", ())]
        for call in message.get("tool_calls", ()):
            if not isinstance(call["function"]["arguments"], str):
                return "arguments are a string"
    return "a call without its result" if waiting else ""


def _anthropic_mistake(body: dict[str, Any]) -> str:
    if "max_tokens" not in body:
        return "max_tokens: field required"
    turns = body["messages"]
    if not turns or turns[0]["role"] != "user":
        return "the first message must be the user's"
    waiting: set[str] = set()
    for turn in turns:
        if turn["role"] not in ("user", "assistant"):
            return f"role {turn['role']}"
        for block in turn["content"]:
            if block["type"] == "text" and not block["text"].strip():
                return "text content blocks must contain non-whitespace text"
        results = {block["tool_use_id"] for block in turn["content"] if block["type"] == "tool_result"}
        if results != waiting:
            return "tool_use ids were found without tool_result blocks immediately after"
        waiting = {block["id"] for block in turn["content"] if block["type"] == "tool_use"}
    if any("input_schema" not in tool or "name" not in tool for tool in body.get("tools", ())):
        return "tools: field required"
    return "tool_use ids were found without tool_result blocks" if waiting else ""


@contextmanager
def serving() -> Iterator[FakeProvider]:
    """A provider on a free port of the loopback interface."""
    provider = FakeProvider()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            time.sleep(provider.slow)
            status, headers, answer = provider.respond(self.path, self.headers, body)
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            if provider.breaks_off:
                self.send_header("content-length", str(len(answer) + 100))
                self.close_connection = True
            else:
                self.send_header("content-length", str(len(answer)))
            self.end_headers()
            with suppress(ConnectionError):  # a client that has lost its patience is gone
                self.wfile.write(answer)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with listening(Handler) as provider.url:
        yield provider
