"""SWE-agent's trajectories: `.traj`, one JSON object with the chat in "history".

Format: https://swe-agent.com/latest/usage/trajectories/. Records are counted instead of lines: one is a message of
the history. Old files have no tool calls: the command stands in a block of the agent's text, where its system
prompt asked for it, and the observation under the user role. Neither is rewritten; only demonstrations go.

`info.exit_status` says how a run ended, not whether it solved its task ("submitted" is no success), and the
evaluation's report is another file: these sessions have no reward.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from locum.files import digest
from locum.sessions.chat_messages import Conversation, with_signals
from locum.sessions.exit_codes import says_failure
from locum.sessions.json_records import member
from locum.sessions.jsonl import BOM, BadRecord, decode
from locum.sessions.ledger import Ledger
from locum.sessions.providers import provider_of
from locum.sessions.reader import FileReading
from locum.types import Message, Session

_HEAD = re.compile(rb'\s*\{\s*"(?:environment|trajectory|history|info|replay_config)"\s*:')
_OWN = re.compile(rb'"history"\s*:\s*\[\s*\{|"trajectory"\s*:\s*\[\s*\{\s*"(?:action|observation|response)"\s*:')
_ROLE = re.compile(rb'"(?:message_type|agent|observation)"\s*:')
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_=>])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LINE_ENDS = re.compile(r"\r+\n?")
_TASKS = (("ISSUE:\n", "\nINSTRUCTIONS:"), ("<pr_description>", "</pr_description>"))
"""Where the default prompts, of several years, put the task."""
_FAILURES = (
    "Your proposed edit has introduced new syntax error",
    "Your bash command contained syntax errors and was NOT executed",
    "was cancelled because it took more than",
    "EXECUTION TIMED OUT",
    "No replacement was performed",
)
"""How observations say that a command failed, in the harness's own words: most hold no exit codes."""
_DECODER = msgspec.json.Decoder(dict[str, Any])


class SweAgent:
    """Reader of SWE-agent's trajectories."""

    name = "swe_agent"

    def detects(self, head: bytes, path: Path) -> bool:
        """An object with a history of an agent's messages, or a trajectory of steps before it."""
        return all((_HEAD.match(head), _OWN.search(head), _ROLE.search(head)))

    def read(self, path: Path) -> FileReading:
        """One session a file, of the agent that speaks most; of a file that is cut, the history before the cut."""
        ledger = Ledger(path)
        raw = path.read_bytes().removeprefix(BOM)
        try:
            run, broken = decode(_DECODER, raw), None
        except BadRecord as error:
            run, broken = {"history": member(raw, "history")}, str(error)
        history = run.get("history")
        messages = history if isinstance(history, list) else []
        if broken is not None or not messages:
            ledger.bad(len(messages) + 1, broken or "no history")
        session = _session(run, messages, path, ledger)
        return FileReading(str(path), self.name, () if session is None else (session,), ledger.lines())


def _session(run: dict[str, Any], history: list[Any], path: Path, ledger: Ledger) -> Session | None:
    agent = _agent(history)
    conversation = Conversation(failed=lambda result: any(failure in result for failure in _FAILURES))
    used: list[int] = []
    broken = False
    for number, raw in enumerate(history, 1):
        noise = "after a bad message" if broken else _noise(raw, agent)
        if noise is not None:
            ledger.noise(number, noise)
            continue
        try:
            _add(raw, conversation)
        except BadRecord as reason:
            ledger.bad(number, str(reason))
            broken = True
            continue
        used.append(number)
    messages = tuple(conversation.messages)
    if not any(message.origin == "agent" for message in messages):
        for number in used:
            ledger.noise(number, "unanswered")
        return None
    ledger.used(*used)
    model = _model(run)
    return Session(
        id=path.stem,
        lineage=f"{SweAgent.name}:{digest(_task(messages))[:16]}",
        format=SweAgent.name,
        source=str(path),
        messages=messages,
        provider=provider_of(model),
        model=model,
    )


def _agent(history: list[Any]) -> str | None:
    """The agent that speaks most: others (a reviewer, a chooser between attempts) have conversations of their
    own.
    """
    spoken = (raw.get("agent") for raw in history if isinstance(raw, dict) and raw.get("role") == "assistant")
    most = Counter(agent if isinstance(agent, str) else None for agent in spoken).most_common(1)
    return most[0][0] if most else None


def _noise(raw: Any, agent: Any) -> str | None:
    if not isinstance(raw, dict):
        return None
    if raw.get("is_demo") is True or raw.get("message_type") == "demonstration":
        return "demonstration"
    return None if raw.get("agent", agent) == agent else "another agent"


def _add(raw: Any, conversation: Conversation) -> None:
    """Add one message of the history.

    Raises:
        BadRecord: it is no message.
    """
    if not isinstance(raw, dict):
        raise BadRecord("a message without a known role")
    role, content = raw.get("role"), raw.get("content")
    if role == "assistant":
        conversation.add(raw)
        return
    if isinstance(content, list):
        content = [{**part, "text": _cleaned(part["text"])} if _has_text(part) else part for part in content]
    elif isinstance(content, str):
        content = _cleaned(content)
    if role != "tool":
        asked = any(message.role == "user" for message in conversation.messages)
        conversation.add({"role": role, "content": content})
        if role == "user" and asked:
            # The first one is the task; what comes under the user role after it is what a command printed.
            printed = conversation.messages[-1].content
            failed = says_failure(printed) or any(failure in printed for failure in _FAILURES)
            conversation.amend(origin="tool")
            if failed and conversation.messages[-2].role == "assistant":
                conversation.messages[-2] = with_signals(conversation.messages[-2], "tool_error")
        return
    ids = raw.get("tool_call_ids")
    calls = ids if isinstance(ids, list) and ids else [raw.get("tool_call_id")]
    for call in calls:  # one observation may answer several calls
        conversation.add({"role": "tool", "tool_call_id": call, "content": content})


def _has_text(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("text"), str)


def _cleaned(text: str) -> str:
    """What a terminal printed, as text: without escape sequences and control bytes, with one kind of line end."""
    return _CONTROLS.sub("", _LINE_ENDS.sub("\n", _ESCAPES.sub("", text)))


def _task(messages: tuple[Message, ...]) -> str:
    """The task, without the prompt around it: runs of one task under several prompts belong together."""
    asked = next((message.content for message in messages if message.role == "user"), "")
    for before, after in _TASKS:
        _, _, rest = asked.partition(before)
        task, end, _ = rest.partition(after)
        if end:
            return " ".join(task.split())
    return " ".join(asked.split())


def _model(run: dict[str, Any]) -> str | None:
    config = run.get("replay_config")
    if isinstance(config, str):  # some versions write it as JSON within the JSON
        try:
            config = decode(_DECODER, config.encode())
        except BadRecord:
            return None
    for key in ("agent", "model", "name"):
        config = config.get(key) if isinstance(config, dict) else None
    # Replays of recorded actions say so where a model's name would stand.
    return (
        config
        if isinstance(config, str) and config and config not in ("replay", "human", "instant_empty_submit")
        else None
    )
