"""Writing a conversation as Claude Code's session log does, one JSON line per content block.

The format is that of `~/.claude/projects/<folder>/<session id>.jsonl` in Claude Code 2.1: an envelope with a
parent chain, one line per content block of a model message with `message.id` shared, `stop_reason` null and
`usage` repeated, tool results under the user role, and bookkeeping lines between.
"""

from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

MODEL = "scripted-agent-1"
REJECTION = (
    "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a file "
    "edit, the new_string was NOT written to the file). STOP what you are doing and wait for the user to "
    "tell you how to proceed."
)
REMINDER = (
    "\n\n<system-reminder>\nThe todo list has not been used for a while. Ignore this if it is not relevant, "
    "and do not mention it.\n</system-reminder>"
)
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz123456789"


class SessionLog:
    """The lines of one session, in order. Time moves with every line; every id comes from `rng`."""

    def __init__(self, rng: Random, started: datetime) -> None:
        self._rng = rng
        self._clock = started
        self._parent: str | None = None
        self.session_id = self._uuid()
        self.lines: list[dict[str, Any]] = []

    def summary(self, title: str) -> None:
        """A summary of some other session, as clients put them at the head of a file."""
        self.lines.append({"type": "summary", "summary": title, "leafUuid": self._uuid()})

    def start_hook(self) -> None:
        """A progress line that is the parent of what follows."""
        data = {
            "type": "hook_progress",
            "hookEvent": "SessionStart",
            "hookName": "SessionStart:startup",
            "command": "true",
        }
        self._write("progress", data=data, toolUseID=self._uuid(), parentToolUseID=self._uuid())

    def snapshot(self) -> None:
        """A file-history snapshot, which belongs to no conversation."""
        message = self._uuid()
        snapshot = {"messageId": message, "trackedFileBackups": {}, "timestamp": self._stamp()}
        self.lines.append(
            {
                "type": "file-history-snapshot",
                "messageId": message,
                "snapshot": snapshot,
                "isSnapshotUpdate": False,
            }
        )

    def human(self, text: str) -> None:
        """What a person typed."""
        self._tick(20, 240)
        self._write("user", message={"role": "user", "content": text})

    def command(self, name: str, arguments: str) -> None:
        """A slash command with its arguments."""
        tags = (f"<command-message>{name}</command-message>", f"<command-name>/{name}</command-name>")
        self.human("\n".join((*tags, f"<command-args>{arguments}</command-args>")))

    def interruption(self, *, of_tool: bool = False) -> None:
        """The client's mark where a person stopped the agent."""
        text = "[Request interrupted by user for tool use]" if of_tool else "[Request interrupted by user]"
        self._write("user", message={"role": "user", "content": [{"type": "text", "text": text}]})

    def agent(
        self, *, thinking: str | None, text: str | None, tool: tuple[str, dict[str, Any]] | None
    ) -> tuple[str, str]:
        """A message of the agent; returns its id and its tool call's id (empty where it calls none)."""
        message_id, request_id, call_id = self._id("msg_01"), self._id("req_011"), ""
        blocks: list[dict[str, Any]] = []
        if thinking is not None:
            signature = self._id("", 64)
            blocks.append({"type": "thinking", "thinking": thinking, "signature": signature})
        if text is not None:
            blocks.append({"type": "text", "text": text})
        if tool is not None:
            call_id = self._id("toolu_01")
            blocks.append({"type": "tool_use", "id": call_id, "name": tool[0], "input": tool[1]})
        written = len(self.lines) * 180
        for number, block in enumerate(blocks, start=1):
            last = number == len(blocks)
            usage = {
                "input_tokens": 3,
                "cache_creation_input_tokens": 140,
                "cache_read_input_tokens": 11_000 + written,
                "output_tokens": 20 + sum(len(str(block)) for block in blocks) // 4 if last else 1,
                "service_tier": "standard",
            }
            message = {
                "model": MODEL,
                "id": message_id,
                "type": "message",
                "role": "assistant",
                "content": [block],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": usage,
            }
            self._tick(1, 6)
            self._write("assistant", message=message, requestId=request_id)
        return message_id, call_id

    def result(self, call_id: str, text: str, *, error: bool = False, reminder: bool = False) -> None:
        """The result of the tool call that the last line holds."""
        source = self._parent
        if self._rng.random() < 0.15:  # a hook's progress is a sibling of the result, not its parent
            data = {
                "type": "hook_progress",
                "hookEvent": "PostToolUse",
                "hookName": "PostToolUse:audit",
                "command": "true",
            }
            self._write("progress", data=data, toolUseID=call_id, parentToolUseID=call_id)
            self._parent = source
        shown = text + REMINDER if reminder else text
        block: dict[str, Any] = {"tool_use_id": call_id, "type": "tool_result"}
        block["content"] = [{"type": "text", "text": shown}] if self._rng.random() < 0.2 else shown
        if error:
            block["is_error"] = True
        copy = f"Error: {text}" if error else {"stdout": text, "stderr": "", "interrupted": False}
        self._tick(1, 9)
        message = {"role": "user", "content": [block]}
        self._write("user", message=message, toolUseResult=copy, sourceToolAssistantUUID=source)

    def stopped_by_hook(self) -> None:
        """A hook ended the agent's work after its last tool call: nobody waits for a closing word."""
        self._write(
            "system",
            subtype="stop_hook_summary",
            hookCount=1,
            hookInfos=[{"command": "desk-done"}],
            hookErrors=[],
            preventedContinuation=True,
            stopReason="order desk: settled",
            hasOutput=False,
            level="info",
            toolUseID=self._uuid(),
        )

    def turn_duration(self) -> None:
        """How long the agent's work took."""
        self._write("system", subtype="turn_duration", durationMs=self._rng.randrange(3_000, 90_000), isMeta=False)

    def _write(self, kind: str, **fields: Any) -> None:
        line = {
            "parentUuid": self._parent,
            "isSidechain": False,
            "userType": "external",
            "cwd": "/home/desk/kettle-and-fern",
            "sessionId": self.session_id,
            "version": "2.1.12",
            "gitBranch": "main",
            "type": kind,
            **fields,
            "uuid": self._uuid(),
            "timestamp": self._stamp(),
        }
        self._parent = line["uuid"]
        self.lines.append(line)

    def _tick(self, least: int, most: int) -> None:
        self._clock += timedelta(seconds=self._rng.randrange(least, most), milliseconds=self._rng.randrange(1000))

    def _stamp(self) -> str:
        return self._clock.isoformat(timespec="milliseconds") + "Z"

    def _uuid(self) -> str:
        return str(UUID(int=self._rng.getrandbits(128), version=4))

    def _id(self, prefix: str, length: int = 22) -> str:
        return prefix + "".join(self._rng.choices(_ALPHABET, k=length))
