"""What a message of a Gemini CLI chat says: calls and results stand in one message, and parts in the Gemini API's
shape (https://ai.google.dev/api/caching#Part)."""

import re
from typing import Any

import msgspec

from locum.sessions.jsonl import BadRecord, arguments, check_depth, kind_of
from locum.sessions.transcript import Result
from locum.types import Signal, ToolCall

HARNESS_PREFIXES = (
    "<session_context>",
    "<hook_context>",
    "<state_snapshot>",
    "<system-reminder>",
    "This is the Gemini CLI. We are setting up the context for our chat.",
    "Here is the user's editor context",
    "Here is a summary of changes in the user's editor context",
    "System: ",
)
"""How the texts begin that the client puts under the user role (assumed from its source)."""
_FILES = "--- Content from referenced files ---"
_REFUSAL = re.compile(r"\b(?:did not allow|denied|rejected|declined|refused)\b", re.IGNORECASE)
_EXIT = re.compile(r"^Exit Code: (-?[1-9]\d*)\s*$", re.MULTILINE)


class Said(msgspec.Struct):
    """A message of the agent with the results of its calls."""

    texts: list[str] = []
    calls: list[ToolCall] = []
    results: list[Result] = []
    unreadable: bool = False


class Heard(msgspec.Struct):
    """A message under the user role, told apart by who wrote it."""

    human: str = ""
    harness: str = ""
    results: list[Result] = []
    unreadable: bool = False


def hear(record: dict[str, Any]) -> Heard:
    """Sort a message under the user role. Where the client shows something else than it sends (the words of a
    command, a text before its files were put in), the human typed what is shown.

    Raises:
        BadRecord: its content is neither text nor parts.
    """
    heard = Heard()
    texts, heard.unreadable = _texts(record.get("content"))
    shown = "\n".join(_texts(record.get("displayContent"))[0]).strip()
    typed = ""
    harness: list[str] = []
    files = ""  # what was put in for the human's `@file` stands at the end
    for text in texts:
        if files:
            files += text
        elif text.lstrip().startswith(HARNESS_PREFIXES):
            harness.append(text.strip())
        else:
            before, mark, after = text.partition(_FILES)
            typed += before
            files = f"{mark}{after}"
    if shown and typed.strip():
        harness.insert(0, typed.replace(shown, "", 1).strip())
        typed = shown
    heard.human = typed.strip()
    heard.harness = "\n\n".join(filter(None, (*harness, files.strip())))
    heard.results = [_result(part["functionResponse"], "", [part]) for part in _responses(record.get("content"))]
    return heard


def say(record: dict[str, Any]) -> Said:
    """Read a message of the agent.

    Raises:
        BadRecord: it has no valid content, or a call without a name or with arguments that are no object.
    """
    said = Said()
    texts, said.unreadable = _texts(record.get("content"))
    text = "".join(texts).strip()
    said.texts = [text] if text else []
    made: dict[str, ToolCall] = {}
    raw = record.get("toolCalls") or []
    if not isinstance(raw, list):
        raise BadRecord("toolCalls is not a list")
    for call in raw:
        if not isinstance(call, dict):
            raise BadRecord("a tool call that is no object")
        id_, name = call.get("id"), call.get("name")
        if not isinstance(id_, str) or not isinstance(name, str) or not id_ or not name:
            raise BadRecord("a tool call without an id or a name")
        if id_ in made:
            continue
        made[id_] = ToolCall(id_, name, arguments(call.get("args") or {}))
        status = call.get("status")
        if call.get("result") is not None or status in ("success", "error", "cancelled"):
            said.results.append(_result({"id": id_}, status, call.get("result"), call.get("resultDisplay")))
    for part in _parts(record.get("content")):
        called = part.get("functionCall") if isinstance(part, dict) else None
        if isinstance(called, dict) and isinstance(called.get("name"), str):
            id_ = called.get("id")
            id_ = id_ if isinstance(id_, str) and id_ else f"{called['name']}-{len(made)}"
            if not any(call.name == called["name"] for call in made.values()) or id_ not in made:
                made.setdefault(id_, ToolCall(id_, called["name"], arguments(called.get("args") or {})))
    said.calls = list(made.values())
    return said


def _result(response: dict[str, Any], status: Any, result: Any, display: Any = None) -> Result:
    texts: list[str] = []
    failed = unreadable = False
    for part in _parts(result):
        answer = part.get("functionResponse") if isinstance(part, dict) else None
        value = answer.get("response") if isinstance(answer, dict) else None
        if isinstance(value, dict):
            failed = failed or "error" in value
            told = value.get("output", value.get("error", value))
            texts.append(told if isinstance(told, str) else _as_text(told))
        elif answer is None:
            told_texts, hidden = _texts([part])
            texts += told_texts
            unreadable = unreadable or hidden
    if not texts and isinstance(display, str):
        texts.append(display)
    text = "\n".join(texts)
    call = response.get("id")
    return Result(call if isinstance(call, str) else "", text, _signals(text, status, failed), unreadable)


def _signals(text: str, status: Any, failed: bool) -> tuple[Signal, ...]:
    if status == "cancelled":
        return ("rejected",) if _REFUSAL.search(text[:500]) else ("interrupted",)
    return ("tool_error",) if status == "error" or failed or _EXIT.search(text) else ()


def _responses(content: Any) -> list[dict[str, Any]]:
    parts = (part for part in _parts(content) if isinstance(part, dict))
    return [part for part in parts if isinstance(part.get("functionResponse"), dict)]


def _parts(content: Any) -> list[Any]:
    if content is None:
        return []
    return content if isinstance(content, list) else [content]


def _texts(content: Any) -> tuple[list[str], bool]:
    """The texts of a content (a text, a part or a list of them), and whether any part is not text."""
    texts: list[str] = []
    unreadable = False
    for part in _parts(content):
        if isinstance(part, str):
            texts.append(part)
        elif not isinstance(part, dict):
            raise BadRecord("a part that is neither text nor an object")
        elif part.get("thought") is True or "functionCall" in part or "functionResponse" in part:
            continue
        elif isinstance(part.get("text"), str):
            texts.append(part["text"])
        else:
            kind = next((key for key in part if isinstance(key, str)), kind_of(part))
            texts.append("[image]" if kind == "inlineData" else f"[{kind[:40]}]")
            unreadable = True
    return texts, unreadable


def _as_text(value: Any) -> str:
    check_depth([value])
    return msgspec.json.encode(value).decode()
