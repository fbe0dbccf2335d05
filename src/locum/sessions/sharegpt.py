"""ShareGPT's training sets: {"conversations": [{"from", "value"}], "system"?, "tools"?} as JSON lines or one list.

Format: as LLaMA-Factory documents it (https://github.com/hiyouga/LLaMA-Factory/tree/main/data); there is no owner.
A `function_call`'s value is the JSON of {"name", "arguments"} or of a list of them, `tools` the JSON of schemas; a
result belongs to the first call that has none yet.
"""

from pathlib import Path
from typing import Any

import msgspec

from locum.sessions.chat_messages import Conversation, lineage_of, tool_schemas
from locum.sessions.json_records import head_values, read_records
from locum.sessions.jsonl import BadRecord, decode
from locum.sessions.ledger import Ledger
from locum.sessions.providers import provider_of
from locum.sessions.reader import FileReading
from locum.types import Session

_ROLES = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "function_call": "call",
    "observation": "tool",
    "function_response": "tool",
    "tool": "tool",
}
_ANY = msgspec.json.Decoder()


class ShareGPT:
    """Reader of ShareGPT's conversations."""

    name = "sharegpt"

    def detects(self, head: bytes, path: Path) -> bool:
        """One record with such a conversation is enough."""
        return b'"conversations"' in head and any(_is_own(record) for record in head_values(head, path))

    def read(self, path: Path) -> FileReading:
        """One session a conversation."""
        ledger = Ledger(path)
        sessions = []
        for number, record in read_records(path, ledger):
            said = record.get("conversations") if isinstance(record, dict) else None
            if not isinstance(said, list):
                ledger.unknown(number, "(no conversations)")
                continue
            try:
                session = _session(record, said, path, number)
            except BadRecord as reason:
                ledger.bad(number, str(reason))
                continue
            if any(message.origin == "agent" for message in session.messages):
                ledger.used(number)
                sessions.append(session)
            else:
                ledger.noise(number, "unanswered")
        return FileReading(str(path), self.name, tuple(sessions), ledger.lines())


def _session(record: dict[str, Any], said: list[Any], path: Path, number: int) -> Session:
    conversation = Conversation()
    system = record.get("system")
    if isinstance(system, str) and system.strip():
        conversation.add({"role": "system", "content": system})
    waiting: list[str] = []
    for raw in said:
        _add(raw, conversation, waiting)
    messages = tuple(conversation.messages)
    model = record.get("model")
    model = model if isinstance(model, str) and model else None
    tools = record.get("tools")
    return Session(
        id=f"{path.stem}:{number}",
        lineage=lineage_of(ShareGPT.name, messages),
        format=ShareGPT.name,
        source=str(path),
        messages=messages,
        tools=tool_schemas(_parsed(tools) if isinstance(tools, str) else tools),
        provider=provider_of(model),
        model=model,
    )


def _add(raw: Any, conversation: Conversation, waiting: list[str]) -> None:
    """Add one message.

    Args:
        waiting: the calls that have no result yet, in order; kept up to date.

    Raises:
        BadRecord: it is none.
    """
    name = raw.get("from") if isinstance(raw, dict) else None
    role = _ROLES.get(name) if isinstance(name, str) else None
    value = raw.get("value") if isinstance(raw, dict) else None
    if role is None or not isinstance(value, str | None):
        raise BadRecord("a message without a known speaker and text")
    if role == "call":
        calls = _parsed(value or "")
        listed = calls if isinstance(calls, list) else [calls]
        ids = [f"call_{len(conversation.messages)}_{n}" for n, _ in enumerate(listed)]
        made = [{"id": id_, "function": call} for id_, call in zip(ids, listed, strict=True)]
        conversation.add({"role": "assistant", "tool_calls": made})
        waiting += ids
    elif role == "tool" and waiting:
        conversation.add({"role": "tool", "tool_call_id": waiting.pop(0), "content": value})
    elif role == "tool":
        # The call stands in the text before it, in a notation of the model's own.
        conversation.add({"role": "user", "content": value})
        conversation.amend(origin="tool")
    else:
        conversation.add({"role": role, "content": value})


def _parsed(text: str) -> Any:
    """The value of JSON in a text, None for an empty one.

    Raises:
        BadRecord: it is no JSON.
    """
    return decode(_ANY, text.encode()) if text.strip() else None


def _is_own(record: Any) -> bool:
    said = record.get("conversations") if isinstance(record, dict) else None
    return isinstance(said, list) and bool(said) and isinstance(said[0], dict) and {"from", "value"} <= said[0].keys()
