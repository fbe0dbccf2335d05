"""Which calls are one conversation: each repeats the history of those before, so the longest tells it all.

A message of the model is known by the digest of everything said up to it. A call whose response stands in another
call's history is part of that one. Side calls (titles, topics, summaries, checks of commands) are told by what they
ask for, or by how short an answer they allow beside conversations with tools.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from locum.files import digest
from locum.sessions.chat_messages import with_signals
from locum.sessions.corrections import corrects
from locum.sessions.ledger import Ledger
from locum.types import Message, Signal, Usage

_SHORT = 512
"""Tokens: side calls allow no longer answers."""
_ASKS = (
    (
        "title",
        re.compile(
            r"\b(?:generate|write|create|come up with|provide)\b[^.\n]{0,60}\btitle\b"
            r"|\btitle (?:for|of) (?:this|the) (?:chat|coding session|conversation|session)\b",
            re.IGNORECASE,
        ),
    ),
    ("topic", re.compile(r"isNewTopic|indicates? a new conversation topic", re.IGNORECASE)),
    ("summary", re.compile(r"summari[sz](?:e|ing) (?:this|the|a)? ?(?:coding )?conversations?\b", re.IGNORECASE)),
    ("command check", re.compile(r"<policy_spec>|file paths that this command reads or modifies", re.IGNORECASE)),
    ("quota", re.compile(r"\A\s*quota\s*\Z")),
    ("warm-up", re.compile(r"\A\s*warmup\s*\Z", re.IGNORECASE)),
)
_COMPACTION = re.compile(r"\s*Your task is to create a detailed summary of the (?:RECENT portion of the )?conversation")


class Call(msgspec.Struct):
    """One call, its request's messages and the response as the last of `messages`."""

    number: int
    messages: list[Message]
    sent: int
    """How many of the messages were the request's."""
    tools: tuple[dict[str, Any], ...]
    model: str | None
    provider: str | None
    started: str | None
    limit: Any
    """Tokens that the answer was allowed, where the log says it."""
    beginning: str = ""
    """Digest of what was said up to the model's first message."""
    joined: int = 0
    """Calls that are part of it."""


class _Answer(msgspec.Struct, frozen=True):
    """What only the call of a response knows of it."""

    time: str | None
    signals: tuple[Signal, ...]
    usage: Usage | None


class Grouping:
    """Takes calls in the order of the log and keeps those that no other call repeats."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._kept: dict[str, Call] = {}  # digest up to its response -> call
        self._repeated: set[str] = set()
        self._answers: dict[str, _Answer] = {}
        self._tools = False

    def add(self, call: Call) -> None:
        """Take a call; those that it repeats are let go."""
        _identify(call)
        self._tools = self._tools or bool(call.tools)
        said = [message.id or "" for message in call.messages if message.role == "assistant"]
        answer = call.messages[-1]
        usage = answer.usage and msgspec.structs.replace(answer.usage, model=call.model)
        self._answers.setdefault(said[-1], _Answer(answer.time, answer.signals, usage))
        for id_ in said[:-1]:
            earlier = self._kept.pop(id_, None)
            if earlier is not None:
                self._ledger.used(earlier.number)
                call.joined += 1 + earlier.joined
                call.started = min(filter(None, (call.started, earlier.started)), default=None)
        self._repeated.update(said[:-1])
        if said[-1] in self._repeated or said[-1] in self._kept:
            self._ledger.used(call.number)
        else:
            self._kept[said[-1]] = call

    def longest(self) -> Iterator[Call]:
        """The calls that are sessions, in the order of the log; the others become noise."""
        conversing = self._tools or any(call.joined for call in self._kept.values())
        for call in self._kept.values():
            short = isinstance(call.limit, int) and call.limit <= _SHORT
            if conversing and short and not call.tools and not call.joined:
                self._ledger.noise(call.number, "side call: short answer")
                continue
            self._ledger.used(call.number)
            for at, message in enumerate(call.messages):
                known = self._answers.get(message.id or "")
                if known is not None:
                    message = with_signals(message, *known.signals)
                    time = message.time or known.time
                    call.messages[at] = msgspec.structs.replace(message, time=time, usage=known.usage)
            _mark_corrections(call.messages)
            yield call


def side_call(call: Call) -> str | None:
    """The kind of noise that a call is by what it asks for; None where it is part of a conversation."""
    asked = next((message.content for message in reversed(call.messages[: call.sent]) if message.role == "user"), "")
    if _COMPACTION.match(asked):
        return "side call: summary"
    turns = sum(message.role == "assistant" for message in call.messages)
    if call.tools or turns > 1:
        return None
    system = "\n".join(message.content for message in call.messages if message.role == "system")
    # What a human asks for in a first message is work; what a system prompt asks for is what the call is for.
    texts = (system, asked) if isinstance(call.limit, int) and call.limit <= _SHORT else (system,)
    return next((f"side call: {kind}" for kind, ask in _ASKS if any(ask.search(text) for text in texts)), None)


def _identify(call: Call) -> None:
    """Give every message of the model an id: the digest of what was said up to it, system prompts apart."""
    so_far = ""
    for at, message in enumerate(call.messages):
        if message.role == "system":
            continue
        calls = [[made.name, made.arguments] for made in message.tool_calls]
        so_far = digest([so_far, message.role, " ".join(message.content.split()), calls])[:32]
        if message.role == "assistant":
            call.messages[at] = msgspec.structs.replace(message, id=so_far)
            call.beginning = call.beginning or so_far[:16]


def _mark_corrections(messages: list[Message]) -> None:
    """Mark what a human's next message corrects."""
    answered: int | None = None
    for at, message in enumerate(messages):
        if message.origin == "agent":
            answered = at
        elif message.origin == "human":
            if answered is not None and corrects(message.content):
                messages[answered] = with_signals(messages[answered], "corrected")
            answered = None
