"""What a response item of a Codex rollout says: who wrote a text, what is called, how a call ended."""

import re
from typing import Any

import msgspec

from locum.sessions.jsonl import BadRecord, arguments, check_depth, decode
from locum.sessions.transcript import Result
from locum.types import Signal, ToolCall

HARNESS_PREFIXES = (
    "<environment_context",
    "<user_instructions>",
    "# AGENTS.md instructions for",
    "<INSTRUCTIONS>",
    "<permissions instructions>",
    "<collaboration_mode>",
    "<skills_instructions>",
    "<skill>",
    "<skill ",
    "<plugins",
    "<apps_instructions>",
    "<turn_aborted>",
    "<user_shell_command>",
    "<subagents>",
    "<subagent_notification>",
    "<hook_prompt",
    "<model_switch>",
    "<personality_spec>",
    "<child_agents_instructions>",
    # A summary takes the history's place; these words stand before it.
    "Another language model started to solve this problem",
    "You were originally given instructions from a user over one or more turns.",
)
"""How the texts begin that the client puts under the user role."""
_ABORT = "<turn_aborted>"
_IDE = "# Context from my IDE setup:"
_REQUEST = "## My request for Codex:"
_IMAGE_TAG = re.compile(r"<image(?: name=[^>]*)?>|</image>")
_REFUSAL = re.compile(r"(?:[\w ]{0,40} )?(?:rejected|denied) by (?:the )?user\b", re.IGNORECASE)
_STOPPED = re.compile(r"(?:command )?aborted(?: by user)?\b", re.IGNORECASE)
_FAILURE = re.compile(
    r"(?:failed in sandbox|execution error|err: |error: |failed to |unsupported (?:call|custom tool call)"
    r"|apply_patch verification failed|exec(?:_command)? failed|collab(?:oration)? .{0,40}failed|unable to )",
    re.IGNORECASE,
)
# The header that newer clients write before a command's output; what a command prints comes after it.
_EXIT = re.compile(r"(?:Chunk ID:.*\n)?(?:Wall time:.*\n)?(?:Exit code: |Process exited with code )(-?\d+)")
_ANY = msgspec.json.Decoder()


class Heard(msgspec.Struct, frozen=True):
    """What an item under the user role holds, told apart by who wrote it."""

    harness: str = ""
    human: str = ""
    aborted: bool = False
    """It tells the agent that a human stopped it."""
    unreadable: bool = False


def hear(content: Any) -> Heard:
    """Sort the parts of an item under the user role; an editor's context stands before what the human typed.

    Raises:
        BadRecord: it is neither text nor a list of parts.
    """
    harness: list[str] = []
    human: list[str] = []
    texts, unreadable = texts_of(content)
    for text in texts:
        if text.lstrip().startswith(HARNESS_PREFIXES):
            harness.append(text.strip())
        elif text.lstrip().startswith(_IDE) and _REQUEST in text:
            context, _, request = text.partition(_REQUEST)
            harness.append(context.strip())
            human.append(request.strip())
        elif text.strip():
            human.append(text.strip())
    return Heard(
        "\n\n".join(harness),
        "\n\n".join(human),
        any(text.startswith(_ABORT) for text in harness),
        unreadable,
    )


def texts_of(content: Any) -> tuple[list[str], bool]:
    """The texts of a message's parts, and whether any part is not text.

    Raises:
        BadRecord: it is neither text nor a list of parts.
    """
    if content is None or isinstance(content, str):
        return ([content] if content else []), False
    if not isinstance(content, list):
        raise BadRecord("content is neither text nor a list of parts")
    texts = []
    unreadable = False
    for part in content:
        text = part.get("text", part.get("refusal")) if isinstance(part, dict) else part
        if isinstance(text, str):
            if not _IMAGE_TAG.fullmatch(text.strip()):
                texts.append(text)
        else:
            kind = part.get("type") if isinstance(part, dict) else None
            texts.append("[image]" if kind == "input_image" else f"[{kind[:40] if isinstance(kind, str) else 'part'}]")
            unreadable = True
    return texts, unreadable


def call_of(item: dict[str, Any]) -> tuple[ToolCall, tuple[Signal, ...]]:
    """The call that an item makes, and what already speaks against it.

    Raises:
        BadRecord: it has no id or no name, or its arguments are nested too deeply.
    """
    kind = item["type"]
    id_ = item.get("call_id") or item.get("id")
    name = {"local_shell_call": "local_shell", "tool_search_call": "tool_search"}.get(kind, item.get("name"))
    if not isinstance(id_, str) or not isinstance(name, str) or not id_ or not name:
        raise BadRecord("a tool call without an id or a name")
    namespace = item.get("namespace")
    if isinstance(namespace, str) and namespace:
        name = f"{namespace}.{name}"
    if kind == "custom_tool_call":
        return ToolCall(id_, name, arguments({"input": item.get("input", "")})), ()
    if kind == "local_shell_call":
        action = item.get("action")
        given = {key: value for key, value in action.items() if key != "type"} if isinstance(action, dict) else {}
        return ToolCall(id_, name, arguments(given)), ()
    raw = item.get("arguments", {})
    try:
        return ToolCall(id_, name, arguments(raw)), ()
    except BadRecord:
        if not isinstance(raw, str):
            raise
        # The line is whole; it is the agent that wrote no JSON, and the client told it so.
        return ToolCall(id_, name, {"arguments": raw}), ("tool_error",)


def result_of(item: dict[str, Any]) -> Result:
    """The result that an item holds, in any of the shapes that the clients have written.

    Raises:
        BadRecord: it belongs to no call.
    """
    call = item.get("call_id")
    if not isinstance(call, str):
        raise BadRecord("a tool result without its call's id")
    output = item.get("output")
    if item["type"] == "tool_search_output" and "output" not in item:
        output = _as_text(item.get("tools"))
    if isinstance(output, dict):  # {"content", "success"}; a local shell's {"output", "metadata"}
        text, code = _unpacked(output) or (_as_text(output.get("content", output)), None)
        failed = output.get("success") is False or bool(code)
        return Result(call, text, _signals(text, failed))
    if isinstance(output, list):
        texts, unreadable = texts_of(output)
        failed = any(_exit_code(text) for text in texts)
        text = "\n".join(texts)
        return Result(call, text, _signals(text, failed), unreadable)
    if not isinstance(output, str):
        return Result(call, "" if output is None else _as_text(output))
    unpacked = _unpacked(_object(output))
    if unpacked is not None:
        text, code = unpacked
        return Result(call, text, _signals(text, bool(code)))
    return Result(call, output, _signals(output, bool(_exit_code(output))))


def _signals(text: str, failed: bool) -> tuple[Signal, ...]:
    if _REFUSAL.match(text):
        return ("rejected",)
    if _STOPPED.match(text):
        return ("interrupted",)
    return ("tool_error",) if failed or _FAILURE.match(text) else ()


def _exit_code(text: str) -> int | None:
    """The exit code in a result's header, or of a result that is itself an object."""
    header = _EXIT.match(text)
    if header is not None:
        return int(header[1][:10])
    value = _object(text)
    code = value.get("exit_code") if value is not None else None
    return code if isinstance(code, int) else None


def _unpacked(value: dict[str, Any] | None) -> tuple[str, int | None] | None:
    """Text and exit code of {"output", "metadata": {"exit_code"}}; a code other than 0 stays visible in the text."""
    metadata = value.get("metadata") if value is not None else None
    if value is None or not isinstance(value.get("output"), str) or not isinstance(metadata, dict):
        return None
    code = metadata.get("exit_code")
    if not isinstance(code, int) or code == 0:
        return value["output"], None
    return f"Exit code: {code}\n{value['output']}", code


def _object(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        value = decode(_ANY, text.encode())
    except BadRecord:
        return None
    return value if isinstance(value, dict) else None


def _as_text(value: Any) -> str:
    check_depth([value])
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
