"""One context window of a conversation in the making: messages in the order of the log, results beside their calls.

Readers of logs that hold one record a message say what each record is; pairing results with calls, merging the
records of one message, corrections and the fate of every line are the same for all of them and are done here.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec

from locum.sessions.corrections import corrects
from locum.sessions.ledger import Ledger
from locum.types import Message, Origin, Role, Signal, ToolCall, Usage


class Result(msgspec.Struct, frozen=True):
    """The result of one tool call."""

    call: str
    text: str
    signals: tuple[Signal, ...] = ()
    """What it says about the message that made the call."""
    unreadable: bool = False
    """Part of it is not in the log as text."""


class Turn(msgspec.Struct):
    """A message of the agent, gathered from the records that belong to it."""

    id: str | None = None
    time: str | None = None
    model: str | None = None
    provider: str | None = None
    origin: Origin = "agent"
    texts: list[str] = []
    calls: list[ToolCall] = []
    signals: list[Signal] = []
    lines: list[int] = []
    rewound: bool = False
    usage: Usage | None = None


class _Note(msgspec.Struct):
    """A message of anybody else but a tool."""

    role: Role
    text: str
    origin: Origin
    id: str | None
    time: str | None
    line: int
    rewound: bool = False


class _Told(msgspec.Struct, frozen=True):
    """A result and where the log has it."""

    result: Result
    line: int
    time: str | None


class Window(msgspec.Struct):
    """A context window as it is written out."""

    messages: list[Message] = []
    turns: int = 0
    """Messages of the agent."""
    model: str | None = None
    """Of the agent's last message."""
    provider: str | None = None

    @property
    def started(self) -> str | None:
        """The first time that it holds."""
        return next((message.time for message in self.messages if message.time is not None), None)


class Transcript:
    """Collects what a context window holds, then writes it out.

    Args:
        ledger: takes down which lines were used; the others get the reason why not.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._items: list[Turn | _Note | None] = []  # None: something that is not in the log as text
        self._told: dict[str, list[_Told]] = {}
        self._flags: dict[str, list[Signal]] = {}
        self._last: Turn | None = None
        self._marks: list[int] = []

    def note(
        self,
        line: int,
        text: str,
        origin: Origin,
        *,
        role: Role = "user",
        id: str | None = None,
        time: str | None = None,
        rewound: bool = False,
    ) -> int:
        """Append a text that the agent read; returns its position. A human's ends the stretch that `stop` looks at."""
        self._items.append(_Note(role, text, origin, id, time, line, rewound))
        if origin == "human":
            self._last = None
        return len(self._items) - 1

    def say(self, turn: Turn) -> int:
        """Append a message of the agent, or of the harness under its role; returns its position."""
        self._items.append(turn)
        self._last = turn
        return len(self._items) - 1

    def hear(self, line: int, result: Result, time: str | None = None) -> None:
        """Take down a result; it goes to the first call of its id that has none yet."""
        self._told.setdefault(result.call, []).append(_Told(result, line, time))

    def flag(self, call: str, signal: Signal) -> None:
        """Say of a call what its result does not say."""
        self._flags.setdefault(call, []).append(signal)

    def gap(self) -> None:
        """Something stands here that the log does not hold as text: the agent's next message leans on it."""
        self._items.append(None)

    def stop(self, line: int) -> None:
        """The agent's last message since a human spoke was interrupted."""
        if self._last is None:
            self._ledger.noise(line, "interrupt")
            return
        self._last.signals.append("interrupted")
        self._marks.append(line)

    def rewind(self, position: int) -> None:
        """A human went back to before the item at `position`."""
        for item in self._items[position:]:
            if item is not None:
                item.rewound = True
        self._last = None

    def write(self) -> Window:
        """The messages of the window; where the agent says nothing, its lines are noise."""
        window = Window()
        lines = list(self._marks)
        answered: int | None = None  # where the agent's last message is, since a human's last one
        unreadable = False
        for item in self._items:
            if item is None:
                unreadable = True
            elif isinstance(item, _Note):
                if item.origin == "human" and not item.rewound:
                    if answered is not None and corrects(item.text):
                        _signal(window.messages, answered, "corrected")
                    answered = None
                signals: tuple[Signal, ...] = ("rewound",) if item.rewound else ()
                window.messages.append(
                    Message(item.role, item.text, origin=item.origin, id=item.id, time=item.time, signals=signals)
                )
                lines.append(item.line)
            else:
                if item.origin == "agent" and not item.rewound:
                    answered = len(window.messages)
                unreadable = self._write_turn(item, window, lines, unreadable)
        self._account(window, lines)
        return window

    def _write_turn(self, turn: Turn, window: Window, lines: list[int], unreadable: bool) -> bool:
        """Write a turn and its results; returns whether a result holds something that is not text."""
        paired = [(call, waiting.pop(0)) for call in turn.calls if (waiting := self._told.get(call.id))]
        signals = [*turn.signals, *(signal for _, told in paired for signal in told.result.signals)]
        signals += [signal for call in turn.calls for signal in self._flags.get(call.id, ())]
        if unreadable:
            signals.append("unreadable")
        if turn.rewound:
            signals.append("rewound")
        window.messages.append(
            Message(
                "assistant",
                "\n\n".join(turn.texts).strip(),
                tuple(turn.calls),
                origin=turn.origin,
                id=turn.id,
                time=turn.time,
                signals=tuple(dict.fromkeys(signals)),
                usage=turn.usage and msgspec.structs.replace(turn.usage, model=turn.model),
            )
        )
        for call, told in paired:
            window.messages.append(
                Message(
                    "tool",
                    told.result.text,
                    tool_call_id=call.id,
                    tool_name=call.name,
                    origin="tool",
                    time=told.time,
                )
            )
            lines.append(told.line)
        lines += turn.lines
        if turn.origin == "agent":
            window.turns += 1
            window.model = turn.model or window.model
            window.provider = turn.provider or window.provider
        return any(told.result.unreadable for _, told in paired)

    def _account(self, window: Window, lines: Sequence[int]) -> None:
        called = Counter(call.id for item in self._items if isinstance(item, Turn) for call in item.calls)
        for call, left in self._told.items():
            for told in left:
                self._ledger.noise(told.line, "second result" if called[call] else "result without its call")
        if window.turns:
            self._ledger.used(*lines)
        else:
            for line in lines:
                self._ledger.noise(line, "unanswered")


def _signal(messages: list[Message], at: int, signal: Signal) -> None:
    message = messages[at]
    messages[at] = msgspec.structs.replace(message, signals=(*message.signals, signal))
