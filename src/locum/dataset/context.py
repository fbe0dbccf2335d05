"""The prompt of a row: the conversation so far, shortened to a budget of characters in a way that can be
told.

What is done, in this order:

1. Every message has a limit of its own, which does not depend on the row: the system message a quarter of the
   budget, the first message of a human half of it, every other message of the user, and the results of one
   message's calls together, a quarter; the agent's own texts the budget of a response. A longer text is cut
   in its middle, and `[… N characters left out …]` stands there.
2. Arguments of tool calls are never cut: calls longer than the budget of a response go whole, with their
   results, and a turn that directly answers them is no row.
3. When the conversation exceeds the budget, the oldest steps between the first human message and the messages
   being answered go, until what is left takes at most half of the room they had; `[… N earlier messages left
   out …]` stands in their place. A step is one text or a call with its results, and is never divided.

The window therefore moves in rare jumps, and between two jumps a row's messages begin with all messages of
the row before: training and evaluation can compute what they share once. Each message is looked at a constant
number of times, so the cost grows with the session's length. Characters of tool schemas are not counted.
"""

from collections import deque
from collections.abc import Iterable

import msgspec

from locum.dataset.turns import Step
from locum.types import Message

MESSAGE_CHARS = 16
"""Counted for every message beside its text: about what a chat template writes around it."""
_SMALLEST_SHARE = 80
"""No tool result is cut below this, however many share a limit."""


def clip(text: str, limit: int) -> str:
    """The text cut in its middle to at most `limit` characters, with a marker; whole where it fits.

    `limit` is at least 64 for the marker to fit; smaller limits cut the end off.
    """
    if len(text) <= limit:
        return text
    marker = ""
    # The marker takes room itself, and its number may grow by a digit for that: twice more settles it.
    for _ in range(3):
        marker = f"[… {len(text) - limit + len(marker):,} characters left out …]"
    room = limit - len(marker)
    if room < 2:
        return text[:limit]
    head = (room + 1) // 2
    return f"{text[:head]}{marker}{text[len(text) - (room - head) :]}"


def size(messages: Iterable[Message]) -> int:
    """Characters that messages take in a prompt."""
    total = 0
    for message in messages:
        total += MESSAGE_CHARS + len(message.content)
        for call in message.tool_calls:
            arguments = msgspec.json.encode(call.arguments)
            total += len(call.name) + (len(arguments) if arguments.isascii() else len(arguments.decode()))
    return total


class _Entry(msgspec.Struct, frozen=True):
    messages: tuple[Message, ...]
    size: int
    cut: int
    """How many of them were clipped."""

    @property
    def role(self) -> str:
        return self.messages[0].role


class Window:
    """The conversation so far, as much of it as a prompt may hold."""

    def __init__(self, context_chars: int, response_chars: int) -> None:
        """Args:
        context_chars: budget of a prompt, in characters.
        response_chars: budget of a response, in characters.
        """
        self._budget = context_chars
        self._response_chars = response_chars
        self._system: _Entry | None = None
        self._pin: _Entry | None = None
        """The first message of a human, or of the user role until a human speaks: never left out."""
        self._opening: _Entry | None = None
        """The pin, once steps before or after it have gone."""
        self._steps: deque[_Entry] = deque()
        self._size = 0
        self._gone = 0
        self._missing = 0
        self._unanswerable = False

    def push(self, step: Step) -> None:
        """Add the next step of the conversation."""
        messages, cut = self._limited(step)
        self._unanswerable = not messages
        if not messages:
            self._missing += len(step.messages)
            return
        entry = _Entry(messages, size(messages), cut)
        self._size += entry.size
        if entry.role == "system":
            self._system = entry
            return
        self._steps.append(entry)
        if entry.role == "user" and (self._pin is None or (_human(entry) and not _human(self._pin))):
            self._pin = entry

    def prompt(self) -> tuple[tuple[Message, ...], int] | None:
        """What the next turn has before it, and how many messages were left out of it or cut.

        None where what the turn answers does not fit into the budget.
        """
        if self._unanswerable:
            return None
        if self._total() > self._budget:
            self._jump()
            if self._total() > self._budget:
                return None
        head = [entry for entry in (self._system, self._opening) if entry is not None]
        messages = [message for entry in head for message in entry.messages]
        if self._gone:
            messages.append(Message("user", self._marker()))
        messages += (message for entry in self._steps for message in entry.messages)
        cut = sum(entry.cut for entry in (*head, *self._steps))
        return _joined(messages), self._gone + self._missing + cut

    def _limited(self, step: Step) -> tuple[tuple[Message, ...], int]:
        """The step with every text within its limit, and how many were cut; nothing where its calls are too
        long."""
        first = step.first
        if first.role == "assistant":
            if first.tool_calls and size((first,)) - MESSAGE_CHARS > self._response_chars:
                return (), 0
            share = max(self._budget // 4 // max(len(step.messages) - 1, 1), _SMALLEST_SHARE)
            limits = (self._response_chars, *(share for _ in step.messages[1:]))
        elif first.role == "user" and (self._pin is None or (first.origin == "human" and not _human(self._pin))):
            limits = (self._budget // 2,)
        else:
            limits = (self._budget // 4,)
        clipped = tuple(
            message if len(message.content) <= limit else _clipped(message, limit)
            for message, limit in zip(step.messages, limits, strict=True)
        )
        cut = sum(new is not old for new, old in zip(clipped, step.messages, strict=True))
        return clipped, cut

    def _marker(self) -> str:
        return f"[… {self._gone:,} earlier messages left out …]"

    def _total(self) -> int:
        return self._size + (MESSAGE_CHARS + len(self._marker()) if self._gone else 0)

    def _jump(self) -> None:
        """Drop the oldest steps until the rest takes at most half of the room that it has."""
        if self._opening is not None and self._opening is not self._pin:
            self._drop(self._opening)
            self._opening = None
        fixed = sum(entry.size for entry in (self._system, self._pin) if entry is not None)
        keep = (self._budget - fixed) // 2
        answered = self._answered()
        while len(self._steps) > answered and self._size - fixed > keep:
            entry = self._steps.popleft()
            if entry is self._pin:
                self._opening = entry
            else:
                self._drop(entry)

    def _drop(self, entry: _Entry) -> None:
        self._size -= entry.size
        self._gone += len(entry.messages)

    def _answered(self) -> int:
        """How many of the last steps the next turn answers: the last, and the calls that a human spoke
        after."""
        if len(self._steps) > 1 and self._steps[-1].role == "user" and len(self._steps[-2].messages) > 1:
            return 2
        return 1


def _human(entry: _Entry) -> bool:
    return entry.messages[0].origin == "human"


def _clipped(message: Message, limit: int) -> Message:
    return msgspec.structs.replace(message, content=clip(message.content, limit))


def _joined(messages: list[Message]) -> tuple[Message, ...]:
    """Two messages of the user in a row become one, with a blank line between: many chat templates demand
    it."""
    joined: list[Message] = []
    for message in messages:
        if joined and message.role == joined[-1].role == "user":
            before = joined[-1]
            origin = "human" if "human" in (before.origin, message.origin) else before.origin
            joined[-1] = Message("user", f"{before.content}\n\n{message.content}", origin=origin)
        else:
            joined.append(message)
    return tuple(joined)
