"""A session as a well-formed conversation: the steps a prompt is made of, and the turns that may become rows.

Logs hold messages in the order in which they were written; a prompt needs more order than that. Here every
call stands directly before its results and every result after its call, two messages of the user in a row are
one, and what the agent did not really say, or said on a branch that was given up, is gone from what later
turns see.

- Narration beside a tool call is left out of the target and of every later prompt alike, so that a turn's
  response and its later appearance in a prompt are the same text.
- What the harness put under the user role (slash commands, compaction summaries, scheduled prompts,
  reminders) stays in the prompt, because the agent saw it; its origin stays `harness`, so it never counts as
  a human.
- A system message that comes later than the first stands under the user role, since chat templates allow only
  one at the beginning.
"""

from collections.abc import Iterator, Sequence

import msgspec

from locum.types import Message, Session, Signal, ToolCall

UNSAID: frozenset[Signal] = frozenset({"synthetic", "api_error", "interrupted", "rewound"})
"""Messages with one of these are in no later prompt."""


class Step(msgspec.Struct, frozen=True):
    """What a prompt is made of, never divided: one text, or the agent's calls with all their results."""

    messages: tuple[Message, ...]

    @property
    def first(self) -> Message:
        """The message that says whose step it is."""
        return self.messages[0]


class Turn(msgspec.Struct, frozen=True):
    """One message of the agent and what a judge needs to know of its surroundings."""

    index: int
    """Among the agent's messages of the session, from 0."""
    message: Message
    """As the log has it."""
    response: Message
    """As a row has it: without narration, ids, times and signals."""
    results: tuple[Message, ...] = ()
    """Results of its calls, as far as there are any before the agent's next message."""
    before: tuple[Message, ...] = ()
    """What came between the agent's message before and this one, results included."""
    request: tuple[Message, ...] = ()
    """The messages under the user role that it answers: the last run of them with a human's among them, else
    the last run."""
    addressed: bool = False
    """A human or a tool has spoken before it."""
    prompted: bool = False
    """Anything at all but a system message stands before it."""
    orphaned: bool = False
    """All that it answers is results whose call is not in the log: the log begins in the middle."""
    last: bool = False
    """Nothing comes after it in the log."""

    @property
    def narrates(self) -> bool:
        """There is text beside its calls."""
        return bool(self.message.tool_calls and self.message.content.strip())


def steps(session: Session) -> Iterator[Step | Turn]:
    """Walk a session once: the steps that prompts are made of, and between them every turn of the agent.

    A turn comes after all the steps that it has before it, and before the step of its own message. Costs time
    in proportion to the session's length.
    """
    walk = _Walk()
    exchanges = _exchanges(session.messages)
    for at, (opening, rest) in enumerate(exchanges):
        yield from walk.exchange(opening, rest, last=at == len(exchanges) - 1 and not rest)


class _Walk:
    """What is carried along a session from message to message."""

    def __init__(self) -> None:
        self.turns = 0
        self.pending: list[Message] = []
        """Messages under the user role that are joined into one step when the agent speaks."""
        self.before: tuple[Message, ...] = ()
        self.request: tuple[Message, ...] = ()
        self.addressed = self.prompted = self.orphaned = self.begun = False

    def exchange(self, opening: Message | None, rest: Sequence[Message], last: bool) -> Iterator[Step | Turn]:
        """One message of the assistant (None: the log's beginning) and everything up to the next."""
        results: dict[str, Message] = {}
        if opening is not None:
            results = _pair(opening.tool_calls, rest)
            response = spoken(opening)
            shown = _shown(opening, response, results)
            if shown or last:
                yield from self._flush()
            if opening.origin == "agent":
                yield self._turn(opening, response, tuple(results.values()), last)
            if shown:
                self.begun = self.prompted = True
                yield shown
            else:
                results = {}
        self.orphaned = any(message.role == "tool" for message in rest) and not results
        for message in rest:
            yield from self._heard(message)
        self.before = tuple(rest)

    def _turn(self, message: Message, response: Message, results: tuple[Message, ...], last: bool) -> Turn:
        turn = Turn(
            index=self.turns,
            message=message,
            response=response,
            results=results,
            before=self.before,
            request=self._request(),
            addressed=self.addressed,
            prompted=self.prompted,
            orphaned=self.orphaned,
            last=last,
        )
        self.turns += 1
        return turn

    def _request(self) -> tuple[Message, ...]:
        if not self.pending or (_human(self.request) and not _human(self.pending)):
            return self.request
        return tuple(self.pending)

    def _heard(self, message: Message) -> Iterator[Step]:
        if message.role == "tool":
            self.addressed = self.prompted = True
            return
        if not message.content.strip() or "rewound" in message.signals:
            return
        if message.role == "system" and not self.begun and not self.pending:
            self.begun = True
            yield Step((Message("system", message.content, origin=message.origin),))
            return
        self.pending.append(Message("user", message.content, origin=message.origin))
        self.prompted = True
        self.orphaned = False
        self.addressed = self.addressed or message.origin == "human"

    def _flush(self) -> Iterator[Step]:
        """The messages heard since the agent last spoke, as one step."""
        if self.pending:
            self.request = self._request()
            content = "\n\n".join(message.content for message in self.pending)
            origin = "human" if _human(self.pending) else self.pending[0].origin
            self.pending = []
            self.begun = True
            yield Step((Message("user", content, origin=origin),))


def _human(messages: Sequence[Message]) -> bool:
    return any(message.origin == "human" for message in messages)


def _exchanges(messages: Sequence[Message]) -> list[tuple[Message | None, list[Message]]]:
    """Cut before every message of the assistant."""
    exchanges: list[tuple[Message | None, list[Message]]] = [(None, [])]
    for message in messages:
        if message.role == "assistant":
            exchanges.append((message, []))
        else:
            exchanges[-1][1].append(message)
    return exchanges


def _pair(calls: Sequence[ToolCall], rest: Sequence[Message]) -> dict[str, Message]:
    """Call id -> its first result among the messages up to the agent's next one; a later result came too late
    for the agent to have seen it."""
    wanted = {call.id for call in calls}
    results: dict[str, Message] = {}
    for message in rest:
        call_id = message.tool_call_id
        if message.role == "tool" and call_id in wanted and call_id is not None:
            results.setdefault(call_id, message)
    return {call.id: results[call.id] for call in calls if call.id in results}


def _shown(message: Message, response: Message, results: dict[str, Message]) -> Step | None:
    """What later prompts show of the agent's message: only what it really said, only calls that have a
    result."""
    if UNSAID.intersection(message.signals):
        return None
    if not response.tool_calls:
        return Step((response,)) if response.content.strip() else None
    calls = tuple(call for call in response.tool_calls if call.id in results)
    told = (_result(call, results[call.id]) for call in calls)
    if len(calls) < len(response.tool_calls):
        response = msgspec.structs.replace(response, tool_calls=calls)
    return Step((response, *told)) if calls else None


def spoken(message: Message) -> Message:
    """The agent's message as rows show it: without narration beside calls, ids, times and signals."""
    content = "" if message.tool_calls else message.content
    return Message("assistant", content, message.tool_calls, origin=message.origin)


def _result(call: ToolCall, message: Message) -> Message:
    return Message("tool", message.content, tool_call_id=call.id, tool_name=call.name, origin="tool")
