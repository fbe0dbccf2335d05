"""Sessions from the calls of a tracer: those that repeat each other's history are one, scores and failures of tools are
laid on the messages that they are about."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from locum.sessions.chat_messages import with_signals
from locum.sessions.grouping import Call, Grouping, side_call
from locum.sessions.jsonl import BadRecord
from locum.sessions.ledger import Ledger
from locum.sessions.providers import provider_of
from locum.sessions.tracing.failures import Failure, Failures
from locum.sessions.tracing.messages import Talk, Unfamiliar
from locum.sessions.tracing.scores import Scale, Score
from locum.sessions.tracing.tools import schemas
from locum.types import Message, Session, Signal, Usage

_CUT = frozenset({"length", "max_tokens", "max_output_tokens", "max_tokens_reached"})
_STOPPED = frozenset({"content_filter", "safety", "guardrail_intervened", "cancelled", "recitation"})


_AROUND = "step around calls"


class Traced(msgspec.Struct, frozen=True):
    """One call as its tracer has it."""

    number: int
    """Of its record."""
    asked: list[Any]
    """Messages of any dialect; texts are a human's."""
    said: list[Any]
    """Messages of any dialect; texts are the model's."""
    id: str = ""
    trace: str = ""
    conversation: str = ""
    time: str | None = None
    tools: Any = None
    model: Any = None
    limit: Any = None
    reason: str | None = None
    """Why the answer stopped, in the provider's words."""
    failed: bool = False
    usage: Usage | None = None
    outer: bool = False
    """It is of an agent or a chain: it counts only where no call of a model in its trace has messages, and of several
    only the one with the most messages."""


class Recorder:
    """Takes what a file holds, in any order, and hands out its sessions.

    Args:
        format: the format's name.
    """

    def __init__(self, path: Path, format: str, ledger: Ledger) -> None:
        self._path, self._format, self._ledger = path, format, ledger
        self._grouping = Grouping(ledger)
        self._outer: dict[str, Traced] = {}  # trace -> the one with the most messages of what is around its calls
        self._inner: set[str] = set()
        self._conversations: dict[str, str] = {}  # trace -> conversation
        self._roots: dict[str, str] = {}  # what is not a call and stands for its whole trace -> trace
        self._answers: dict[str, str] = {}  # call -> id of the message that answered it
        self._traces: dict[str, set[str]] = {}  # id of an answer -> traces
        self._last: dict[str, tuple[str, int, str]] = {}  # trace -> time, number and id of its last answer
        self._failures = Failures()
        self._scores: list[Score] = []

    def belongs(self, trace: str, conversation: Any) -> None:
        """A trace is part of a conversation."""
        if trace and isinstance(conversation, str) and conversation:
            self._conversations.setdefault(trace, conversation)

    def root(self, id: str, trace: str) -> None:
        """A record that is no call stands for its whole trace: scores of the one are the other's."""
        self._roots[id] = trace

    def tool_failed(self, failure: Failure) -> None:
        """A tool call failed; the record counts as used if a session holds that call."""
        self._failures.add(failure)

    def score(self, score: Score) -> None:
        """Somebody judged."""
        self._scores.append(score)

    def take(self, traced: Traced) -> None:
        """Take a call; it is accounted for at once or when the sessions are made."""
        self.belongs(traced.trace, traced.conversation)
        if not traced.outer:
            self._take(traced)
            return
        trace = traced.trace or f"#{traced.number}"
        known = self._outer.get(trace)
        if trace in self._inner or (known is not None and _length(known) >= _length(traced)):
            self._ledger.noise(traced.number, _AROUND)
            return
        self._outer[trace] = traced
        if known is not None:
            self._ledger.noise(known.number, _AROUND)

    def sessions(self) -> tuple[Session, ...]:
        """The sessions, once everything is taken."""
        for traced in self._outer.values():
            self._take(traced)
        marks, rewards = self._judged()
        used: set[int] = set()
        sessions = tuple(self._session(call, marks, rewards, used) for call in self._grouping.longest())
        for number in self._failures.numbers:
            if number in used:
                self._ledger.used(number)
            else:
                self._ledger.noise(number, "failed tool call of no session")
        return sessions

    def _take(self, traced: Traced) -> None:
        try:
            call = _call(traced)
        except Unfamiliar as reason:
            self._ledger.unknown(traced.number, str(reason))
            return
        except BadRecord as reason:
            self._ledger.bad(traced.number, str(reason))
            return
        if call is None:
            self._ledger.noise(traced.number, "failed call" if traced.failed else "call without an answer")
            return
        if traced.trace and not traced.outer:
            self._inner.add(traced.trace)
            if (around := self._outer.pop(traced.trace, None)) is not None:
                self._ledger.noise(around.number, _AROUND)
        if (kind := side_call(call)) is not None:
            self._ledger.noise(traced.number, kind)
            return
        self._grouping.add(call)
        answer = call.messages[-1].id or ""
        if traced.id:
            self._answers[traced.id] = answer
        if traced.trace:
            self._traces.setdefault(answer, set()).add(traced.trace)
            last = (traced.time or "", traced.number, answer)
            self._last[traced.trace] = max(last, self._last.get(traced.trace, last))

    def _judged(self) -> tuple[dict[str, list[Signal]], dict[str, float]]:
        """What the scores say: of answers by their messages' ids, and of traces and conversations."""
        scale = Scale(self._scores)
        marks: dict[str, list[Signal]] = {}
        rewards: dict[str, float] = {}
        known = {*self._last, *(self._conversations[trace] for trace in self._last if trace in self._conversations)}
        for score in self._scores:
            if score.call in self._roots:
                score = msgspec.structs.replace(score, call="", trace=self._roots[score.call])
            answer = self._answers.get(score.call) if score.call else self._last.get(score.trace, ("", 0, None))[2]
            whole = score.trace or score.conversation
            opinion = scale.opinion(score)
            if score.of_machine:
                fate = "score of a model judge"
            elif score.is_reward and whole in known:
                value = score.number_value or 0.0
                rewards[whole] = min(value, rewards.get(whole, value))
                fate = None
            elif answer is None:
                fate = "score of nothing in this file"
            elif opinion is None:
                fate = "score that says neither good nor bad"
            else:
                marks.setdefault(answer, []).append(opinion)
                fate = None
            if score.own and fate is not None:
                self._ledger.noise(score.number, fate)
            elif score.own:
                self._ledger.used(score.number)
        return marks, rewards

    def _session(
        self, call: Call, marks: dict[str, list[Signal]], rewards: dict[str, float], used: set[int]
    ) -> Session:
        traces = sorted({trace for message in call.messages for trace in self._traces.get(message.id or "", ())})
        messages = [with_signals(message, *marks.get(message.id or "", ())) for message in call.messages]
        used.update(self._failures.mark(messages, traces))
        conversations = sorted({self._conversations[trace] for trace in traces if trace in self._conversations})
        name = next(iter([*conversations, *traces]), call.beginning)
        return Session(
            id=f"{name if conversations or traces else self._path.stem}:{call.number}",
            lineage=f"{self._format}:{name}",
            format=self._format,
            source=str(self._path),
            messages=tuple(messages),
            tools=call.tools,
            started=call.started,
            provider=call.provider,
            model=call.model,
            reward=_reward(traces, conversations, rewards),
        )


def _length(traced: Traced) -> int:
    return len(traced.asked) + len(traced.said)


def _reward(traces: list[str], conversations: list[str], rewards: dict[str, float]) -> float | None:
    """The ground truth of a session: its conversation's, or its traces' if each of them has one, the least of them."""
    found = [rewards[one] for one in conversations if one in rewards]
    of_traces = [rewards[one] for one in traces if one in rewards]
    if traces and len(of_traces) == len(traces):
        found += of_traces
    return min(found, default=None)


def _call(traced: Traced) -> Call | None:
    """The call, or None where it has no answer.

    Raises:
        BadRecord: a message is none.
    """
    talk = Talk()
    for raw in traced.asked:
        talk.add(raw)
    sent = len(talk.messages)
    for raw in traced.said:
        talk.add(raw, "assistant")
    messages = _up_to_the_answer(talk.messages, sent)
    if messages is None:
        return None
    messages[-1] = with_signals(messages[-1], *_signals(traced))
    messages[-1] = msgspec.structs.replace(messages[-1], time=traced.time, usage=traced.usage)
    model = traced.model if isinstance(traced.model, str) and traced.model else None
    limit = int(traced.limit[:10]) if isinstance(traced.limit, str) and traced.limit.isdecimal() else traced.limit
    return Call(
        number=traced.number,
        messages=messages,
        sent=sent,
        tools=schemas(traced.tools),
        model=model,
        provider=provider_of(model),
        started=traced.time,
        limit=limit,
    )


def _up_to_the_answer(messages: list[Message], sent: int) -> list[Message] | None:
    """The messages without what follows the model's last one; None where it said nothing."""
    spoken = (at for at in range(len(messages) - 1, sent - 1, -1) if messages[at].role == "assistant")
    last = next((at for at in spoken if messages[at].content.strip() or messages[at].tool_calls), None)
    return None if last is None else messages[: last + 1]


def _signals(traced: Traced) -> Iterator[Signal]:
    reason = (traced.reason or "").lower()
    if reason in _CUT:
        yield "truncated"
    if reason in _STOPPED:
        yield "interrupted"
    if traced.failed or reason == "error":
        yield "api_error"
