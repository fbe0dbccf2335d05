"""The entries of a pi session: what each kind holds, and which kinds are known to hold no conversation."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from locum.sessions.jsonl import BadRecord, arguments, decode, decode_line, kind_of, utc
from locum.sessions.ledger import Ledger
from locum.sessions.pi.envelopes import Heard, hear, is_control, without_directives
from locum.sessions.transcript import Result
from locum.sessions.usage import usage_of
from locum.types import Signal, ToolCall, Usage

_STATE = frozenset({"label", "model_change", "session", "session_info", "thinking_level_change"})
"""Entries about the session itself."""
_ENDS: dict[Any, Signal] = {"aborted": "interrupted", "error": "api_error", "length": "truncated"}
"""Stop reasons that say something of the message."""
_CLIENT = "openclaw"
"""The provider under which the client writes messages in the agent's name."""
_MIRROR = "delivery-mirror"
_NOT_HUMAN = ("inter_session", "internal_system")
_DECODER = msgspec.json.Decoder(dict[str, Any])
_ANY = msgspec.json.Decoder()


class Said(msgspec.Struct, frozen=True):
    """A message of the agent."""

    text: str
    calls: tuple[ToolCall, ...]
    signals: tuple[Signal, ...]
    model: str | None
    provider: str | None
    control: bool = False
    """Nothing but a token for the client."""
    usage: Usage | None = None


class Cut(msgspec.Struct, frozen=True):
    """The history before is replaced by a summary and what was kept of it."""

    summary: str
    kept_id: str | None
    """The first entry that was kept."""
    kept_at: int | None
    """The same as an index into the file's entries, header included (version 1)."""


class Entry(msgspec.Struct):
    """An entry of any kind: all of them take part in the tree."""

    line: int
    id: str | None
    parent: str | None
    linked: bool
    """The entry says what it follows, be it nothing."""
    time: str | None
    holds: Said | Heard | Result | Cut | None = None
    header: dict[str, Any] | None = None


def read_entries(lines: Iterable[tuple[int, bytes]], ledger: Ledger) -> list[Entry]:
    """Read the lines of a session; those without a conversation get their fate here, others from who uses them.

    An entry whose id was seen before is a copy: the first one counts.
    """
    entries: list[Entry] = []
    seen: set[str] = set()
    for number, raw in lines:
        if not raw:
            ledger.noise(number, "blank")
            continue
        try:
            for record in decode_line(_DECODER, raw):
                entry = _entry(number, record, ledger)
                if entry.id is None or entry.id not in seen:
                    entries.append(entry)
                else:
                    ledger.noise(number, "copy")
                seen.add(entry.id or "")
        except BadRecord as reason:
            ledger.bad(number, str(reason))
    return entries


def _entry(number: int, record: dict[str, Any], ledger: Ledger) -> Entry:
    kind = kind_of(record)
    id_, parent = record.get("id"), record.get("parentId")
    entry = Entry(
        line=number,
        id=id_ if isinstance(id_, str) and id_ and kind != "session" else None,
        parent=parent if isinstance(parent, str) and parent else None,
        linked="parentId" in record,
        time=moment(record.get("timestamp")),
    )
    if kind == "message":
        message = record.get("message")
        if not isinstance(message, dict):
            raise BadRecord("a message entry without a message")
        _message(entry, message, ledger)
        entry.time = entry.time or moment(message.get("timestamp"))
    elif kind == "custom_message":
        entry.holds = _from_harness(record.get("content"))
    elif kind == "compaction":
        kept, at = record.get("firstKeptEntryId"), record.get("firstKeptEntryIndex")
        entry.holds = Cut(
            _text(record.get("summary")).strip(),
            kept if isinstance(kept, str) else None,
            at if isinstance(at, int) else None,
        )
        ledger.noise(number, "compaction")
    elif kind == "reset":
        entry.holds = Cut("", None, None)
        ledger.noise(number, "reset")
    elif kind == "branch_summary":
        entry.holds = _from_harness(record.get("summary"))
    elif kind == "custom":
        custom = record.get("customType")
        ledger.noise(number, f"custom: {custom[:40]}" if isinstance(custom, str) else "custom")
    elif kind in _STATE:
        if kind == "session":
            entry.header = record
        ledger.noise(number, kind)
    else:
        ledger.unknown(number, kind)
    if isinstance(entry.holds, Heard) and not (entry.holds.human or entry.holds.harness or entry.holds.media):
        ledger.noise(number, "empty")
        entry.holds = None
    return entry


def _message(entry: Entry, message: dict[str, Any], ledger: Ledger) -> None:
    role = message.get("role")
    content = message.get("content")
    if role == "user":
        provenance = message.get("provenance")
        source = provenance.get("kind") if isinstance(provenance, dict) else None
        entry.holds = _from_harness(content) if source in _NOT_HUMAN else _heard(content)
    elif role == "assistant":
        entry.holds = _said(message, entry.line, ledger)
    elif role == "toolResult":
        entry.holds = _result(message)
    elif role == "bashExecution":
        if message.get("excludeFromContext") is True:
            ledger.noise(entry.line, "bashExecution")
        else:
            entry.holds = Heard("", _bash(message))
    elif role in ("branchSummary", "compactionSummary"):
        entry.holds = _from_harness(message.get("summary", content))
    elif role in ("custom", "hookMessage", "system"):
        entry.holds = _from_harness(content)
    else:
        ledger.unknown(entry.line, f"message: {role[:40] if isinstance(role, str) else '(no role)'}")


def _heard(content: Any) -> Heard:
    texts, media = _blocks(content)
    heard = [hear(text) for text in texts]
    return Heard(
        "\n\n".join(part.human for part in heard if part.human),
        "\n\n".join(part.harness for part in heard if part.harness),
        media or any(part.media for part in heard),
    )


def _from_harness(content: Any) -> Heard:
    texts, media = _blocks(content)
    return Heard("", "\n\n".join(text.strip() for text in texts if text.strip()), media)


def _said(message: dict[str, Any], line: int, ledger: Ledger) -> Said | None:
    model, provider = message.get("model"), message.get("provider")
    if model == _MIRROR:
        ledger.noise(line, _MIRROR)
        return None
    texts: list[str] = []
    calls: dict[str, ToolCall] = {}
    signals: list[Signal] = []
    thought = False
    content = message.get("content")
    for block in [{"type": "text", "text": content}] if isinstance(content, str) else _list(content):
        kind = kind_of(block)
        if kind == "text" and isinstance(block.get("text"), str):
            texts.append(block["text"].strip())
        elif kind == "toolCall":
            id_, name = block.get("id"), block.get("name")
            if not isinstance(id_, str) or not isinstance(name, str) or not id_ or not name:
                raise BadRecord("a tool call without an id or a name")
            calls.setdefault(id_, ToolCall(id_, name, arguments(block.get("arguments") or {})))
        elif kind in ("thinking", "redactedThinking"):
            thought = True
        else:
            signals.append("unreadable")
            if kind != "image":
                ledger.unknown(line, f"assistant block: {kind}")
    end = message.get("stopReason")
    if isinstance(end, str) and end in _ENDS:
        signals.append(_ENDS[end])
    if provider == _CLIENT:
        signals.append("synthetic")
    text = "\n\n".join(filter(None, texts))
    control = not calls and is_control(text)
    if not control:
        text = without_directives(text)
    if not text and not calls and "unreadable" not in signals:
        ledger.noise(line, end if isinstance(end, str) and end in _ENDS else "thinking" if thought else "empty")
        return None
    return Said(
        text,
        tuple(calls.values()),
        tuple(signals),
        model if isinstance(model, str) else None,
        provider if isinstance(provider, str) else None,
        control,
        None if provider == _CLIENT else usage_of(message.get("usage")),
    )


def _result(message: dict[str, Any]) -> Result:
    call = message.get("toolCallId")
    if not isinstance(call, str) or not call:
        raise BadRecord("a tool result without its call's id")
    texts, media = _blocks(message.get("content"))
    text = "\n".join(texts)
    details = message.get("details")
    details = details if isinstance(details, dict) else {}
    code = details.get("exitCode")
    failed = (
        message.get("isError") is True
        or (isinstance(code, int) and code != 0)
        or details.get("status") in ("error", "failed")
        or _says_error(text)
    )
    return Result(call, text, ("tool_error",) if failed else (), media)


def _says_error(text: str) -> bool:
    """Whether a result is OpenClaw's object for a tool that failed."""
    if not text.startswith("{") or '"error"' not in text[:200]:
        return False
    try:
        value = decode(_ANY, text.encode())
    except BadRecord:
        return False
    return isinstance(value, dict) and value.get("status") == "error"


def _bash(message: dict[str, Any]) -> str:
    """A command that the human ran, as the agent is shown it."""
    text = f"Ran `{_text(message.get('command'))}`\n```\n{_text(message.get('output')) or '(no output)'}\n```"
    code = message.get("exitCode")
    if message.get("cancelled") is True:
        return f"{text}\n\n(command cancelled)"
    return f"{text}\n\nCommand exited with code {code}" if isinstance(code, int) and code != 0 else text


def _blocks(content: Any) -> tuple[list[str], bool]:
    """The texts of a content, and whether something in it is not text."""
    if content is None or isinstance(content, str):
        return ([content] if content else []), False
    texts = []
    media = False
    for block in _list(content):
        if isinstance(block, dict) and isinstance(block.get("text"), str):
            texts.append(block["text"])
        else:
            texts.append(f"[{kind_of(block)}]")
            media = True
    return texts, media


def _list(content: Any) -> list[Any]:
    if content is None:
        return []
    if not isinstance(content, list):
        raise BadRecord("content is neither text nor a list of blocks")
    return content


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def moment(value: Any) -> str | None:
    """A timestamp as `utc`, from text or from milliseconds since 1970."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return utc(value)
    try:
        return utc(datetime.fromtimestamp(value / 1000, UTC).isoformat())
    except (ValueError, OverflowError, OSError):
        return None
