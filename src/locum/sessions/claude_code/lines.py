"""The lines of a Claude Code log: what each kind holds, and which kinds are known to hold no conversation.

Two spellings are read: the log that the client keeps (`~/.claude/projects`, fields in camelCase, chained by
`parentUuid`) and the stream that `claude -p --output-format stream-json` prints (snake_case, no chain, no
times).
"""

from pathlib import Path
from typing import Any

import msgspec

from locum.sessions.claude_code.texts import Heard, hear
from locum.sessions.jsonl import BadRecord, arguments, decode, decode_line, kind_of, numbered_lines, utc
from locum.sessions.ledger import Ledger
from locum.sessions.stops import stopped
from locum.types import Signal, ToolCall, Usage

NOISE_TYPES = frozenset(
    {
        "agent-color",
        "agent-name",
        "agent-setting",
        "ai-title",
        "attribution-snapshot",
        "bridge-session",
        "content-replacement",
        "custom-title",
        "file-history-delta",
        "file-history-snapshot",
        "fork-context-ref",
        "last-prompt",
        "mode",
        "permission-mode",
        "pr-link",
        "progress",
        "queue-operation",
        "rate_limit_event",
        "result",
        "speculation-accept",
        "stream_event",
        "summary",
        "tag",
        "task-summary",
        "tool_progress",
        "tool_use_summary",
        "worktree-state",
    }
)
"""Records of the client's own state, titles and displays."""
NOISE_SYSTEM = frozenset(
    {
        None,
        "api_error",
        "away_summary",
        "compact_boundary",
        "hook_response",
        "hook_started",
        "informational",
        "init",
        "local_command",
        "microcompact_boundary",
        "status",
        "stop_hook_summary",
        "task_notification",
        "task_progress",
        "task_started",
        "turn_duration",
    }
)
"""Subtypes of `system` records; none of them is a message."""
_SHOWN_ELSEWHERE = frozenset({"file", "directory", "mcp_resource", "pdf_reference", "compact_file_reference"})
"""Attachments that the agent reads and that the log holds, if at all, in the client's own form."""
_NO_TEXT = frozenset({"", "(no content)"})


class Counts(msgspec.Struct):
    """What a line says of the tokens of its message; the last line of a message alone has all of them."""

    input_tokens: Any = 0
    output_tokens: Any = 0
    cache_read_input_tokens: Any = 0
    cache_creation_input_tokens: Any = 0

    def usage(self, model: str | None) -> Usage | None:
        """Them, of a message of this model; None where they are no numbers."""
        read, written = self.cache_read_input_tokens or 0, self.cache_creation_input_tokens or 0
        counts = (self.input_tokens, self.output_tokens, read, written)
        if not all(isinstance(count, int) for count in counts):
            return None
        return Usage(self.input_tokens + read + written, self.output_tokens, read, model=model)


class _WireMessage(msgspec.Struct):
    content: str | list[Any]
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    usage: Counts | list[Any] | str | float | bool | None = None


class _WireRun(msgspec.Struct):
    interrupted: Any = False


class Wire(msgspec.Struct, rename="camel"):
    """The fields of a line that are read; everything else on it is skipped undecoded."""

    type: str | None = None
    subtype: str | None = None
    uuid: str | None = None
    parent_uuid: str | None = None
    session_id: str | None = None
    stream_session: str | None = msgspec.field(default=None, name="session_id")
    stream_parent: str | None = msgspec.field(default=None, name="parent_tool_use_id")
    agent_id: str | None = None
    is_sidechain: Any = False
    is_meta: Any = False
    is_compact_summary: Any = False
    is_api_error_message: Any = False
    timestamp: Any = None
    origin: Any = None
    operation: Any = None
    content: Any = None
    attachment: Any = None
    message: _WireMessage | None = None
    tool_use_result: msgspec.Raw = msgspec.Raw()


class Said(msgspec.Struct, frozen=True):
    """One line of an assistant message."""

    id: str | None
    model: str | None
    text: str
    calls: tuple[ToolCall, ...]
    signals: tuple[Signal, ...]
    counts: Counts | None = None


class Entry(msgspec.Struct):
    """A line that takes part in the conversation or in the chain of its parents."""

    line: int
    uuid: str | None
    parent: str | None
    session: str | None
    agent: str | None
    """What tells a sub-agent's lines from the main conversation's, where the line says so."""
    sidechain: bool
    time: str | None
    said: Said | None = None
    heard: Heard | None = None
    queued: bool = False
    """A human's text from the input queue, which another line may hold again."""
    window: bool = False
    """A new context window begins here: what came before was compacted."""
    unreadable: bool = False
    """A file was attached here that the log does not hold as text."""
    begins: bool = False
    """A stream begins here, which need not hold the prompt."""


_DECODER = msgspec.json.Decoder(Wire)
_RUN = msgspec.json.Decoder(_WireRun)


def read_entries(path: Path, ledger: Ledger) -> list[Entry]:
    """Read a log; lines that hold no conversation get their fate here, the others from whoever uses them.

    A line whose uuid was seen before is a copy that an older client made when it resumed: the first one
    counts.
    """
    entries = []
    seen: set[str] = set()
    for number, raw in numbered_lines(path):
        if not raw:
            ledger.noise(number, "blank")
            continue
        try:
            read = [_entry(number, wire, ledger) for wire in decode_line(_DECODER, raw)]
        except BadRecord as reason:
            ledger.bad(number, str(reason))
            continue
        for entry in read:
            if entry.uuid is not None and entry.uuid in seen:
                ledger.noise(number, "copy")
                continue
            if entry.uuid is not None:
                seen.add(entry.uuid)
            entries.append(entry)
    return entries


def _entry(number: int, wire: Wire, ledger: Ledger) -> Entry:
    entry = Entry(
        line=number,
        uuid=wire.uuid,
        parent=wire.parent_uuid,
        session=wire.session_id or wire.stream_session,
        agent=wire.agent_id or wire.stream_parent,
        sidechain=bool(wire.is_sidechain) or wire.stream_parent is not None,
        time=utc(wire.timestamp),
        window=wire.subtype == "compact_boundary" or bool(wire.is_compact_summary),
        begins=wire.type == "system" and wire.subtype == "init" and wire.stream_session is not None,
    )
    if wire.type == "assistant":
        entry.said = _said(wire, ledger, number)
    elif wire.type == "user":
        entry.heard = _heard(wire, ledger, number)
    elif wire.type == "attachment":
        _attach(entry, wire, ledger)
    elif wire.type == "queue-operation" and wire.operation == "remove" and isinstance(wire.content, str):
        # Taken out of the queue while the agent worked: given to it in the middle of the turn.
        entry.heard, entry.queued = hear(wire.content, from_harness=False, stopped=False), True
    elif wire.type == "system":
        kind = "system" if wire.subtype is None else f"system: {kind_of({'type': wire.subtype})}"
        (ledger.noise if wire.subtype in NOISE_SYSTEM else ledger.unknown)(number, kind)
    elif wire.type in NOISE_TYPES:
        ledger.noise(number, wire.type)
    else:
        ledger.unknown(number, kind_of({"type": wire.type}))
    return entry


def _said(wire: Wire, ledger: Ledger, number: int) -> Said | None:
    message = wire.message
    if message is None:
        raise BadRecord("an assistant line without a message")
    texts: list[str] = []
    calls: list[ToolCall] = []
    signals: list[Signal] = []
    thought = False
    content = message.content
    for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        kind = kind_of(block)
        if kind == "text" and isinstance(block.get("text"), str):
            texts.append(block["text"])
        elif kind == "tool_use" and isinstance(block.get("id"), str) and isinstance(block.get("name"), str):
            calls.append(ToolCall(block["id"], block["name"], arguments(block.get("input", {}))))
        elif kind in ("thinking", "redacted_thinking"):
            thought = True
        else:
            # What the provider's own tools found is not in the log as text; of any other block nothing is
            # known.
            signals.append("unreadable")
            if kind != "server_tool_use" and not kind.endswith("_tool_result"):
                ledger.unknown(number, f"assistant block: {kind}")
    if wire.is_api_error_message:
        signals.append("api_error")
    if message.model == "<synthetic>":
        signals.append("synthetic")
    signals += stopped(message.stop_reason)
    text = "\n\n".join(texts)
    if not calls and not signals and text.strip() in _NO_TEXT:
        ledger.noise(number, "thinking" if thought else "empty")
        return None
    counts = message.usage if isinstance(message.usage, Counts) else None
    return Said(message.id or wire.uuid, message.model, text, tuple(calls), tuple(signals), counts)


def _heard(wire: Wire, ledger: Ledger, number: int) -> Heard:
    if wire.message is None:
        raise BadRecord("a user line without a message")
    kind = wire.origin.get("kind", "human") if isinstance(wire.origin, dict) else "human"
    from_harness = bool(
        wire.is_meta or wire.is_compact_summary or wire.is_sidechain or wire.stream_parent or kind != "human"
    )
    run = bytes(wire.tool_use_result)
    stopped = run.startswith(b"{") and b'"interrupted"' in run and decode(_RUN, run).interrupted is True
    heard = hear(wire.message.content, from_harness=from_harness, stopped=stopped)
    if heard.unknown is not None:
        ledger.unknown(number, heard.unknown)
    if not (heard.results or heard.harness or heard.human or heard.interrupted):
        ledger.noise(number, "reminder" if wire.message.content else "empty")
    return heard


def _attach(entry: Entry, wire: Wire, ledger: Ledger) -> None:
    attachment = wire.attachment if isinstance(wire.attachment, dict) else {}
    kind = kind_of(attachment)
    prompt = attachment.get("prompt")
    if kind == "queued_command" and isinstance(prompt, str | list):
        # Typed while the agent worked, and given to it in the middle of the turn.
        origin = attachment.get("origin")
        human = attachment.get("commandMode", "prompt") == "prompt" and (
            not isinstance(origin, dict) or origin.get("kind", "human") == "human"
        )
        entry.heard = hear(prompt, from_harness=not human or entry.sidechain, stopped=False)
    else:
        entry.unreadable = kind in _SHOWN_ELSEWHERE
        ledger.noise(entry.line, f"attachment: {kind}")
