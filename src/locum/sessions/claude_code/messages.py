"""From one branch of a conversation to sessions: lines merged to messages, results put beside their calls."""

from collections.abc import Iterator

import msgspec

from locum.sessions.claude_code.lines import Counts, Entry, Said
from locum.sessions.claude_code.texts import Result
from locum.sessions.claude_code.tree import Branch
from locum.sessions.corrections import corrects
from locum.sessions.ledger import Ledger
from locum.types import Message, Origin, Session, Signal, ToolCall

_WARM_UP = "Warmup"
"""The prompt with which the client fills its sub-agents' caches."""


class _Turn(msgspec.Struct):
    """A message of the agent, gathered from all its lines, which need not stand together."""

    id: str | None
    time: str | None
    own: bool
    model: str | None
    texts: list[str] = []
    calls: dict[str, ToolCall] = {}
    signals: list[Signal] = []
    lines: list[int] = []
    counts: Counts | None = None


class _Note(msgspec.Struct):
    """A message under the user role."""

    id: str | None
    time: str | None
    text: str
    origin: Origin
    line: int


class _Gap(msgspec.Struct):
    """Between two messages: a new context window, or a file that is not in the log as text."""

    window: bool


class _Window(msgspec.Struct):
    """A context window as it is written out."""

    messages: list[Message] = []
    lines: list[int] = []
    model: str | None = None
    turns: int = 0


def sessions_of(branch: Branch, source: str, ledger: Ledger, kept: frozenset[str] = frozenset()) -> list[Session]:
    """The sessions of a branch, one for each context window in which the agent says something.

    Args:
        branch: the lines, in file order.
        source: the log's path, for `Session.source`.
        ledger: takes down which lines were used; the others get the reason why not.
        kept: the calls whose edits were committed as they were.
    """
    gathered = _Gathering(branch, ledger, kept)
    if branch.entries[0].sidechain and gathered.first_note() == _WARM_UP:
        for entry in branch.entries:
            ledger.noise(entry.line, "warm-up")
        return []
    sessions = []
    for number, window in enumerate(gathered.windows(), 1):
        if not window.turns:
            continue
        ledger.used(*window.lines)
        model = window.model
        sessions.append(
            Session(
                id=branch.id if number == 1 else f"{branch.id}#{number}",
                lineage=branch.lineage,
                format="claude_code",
                source=source,
                messages=tuple(window.messages),
                started=next((m.time for m in window.messages if m.time is not None), None),
                provider="anthropic" if model and "claude" in model else None,
                model=model,
            )
        )
    return sessions


class _Gathering:
    """Collects the messages of a branch, then writes them out window by window."""

    def __init__(self, branch: Branch, ledger: Ledger, kept: frozenset[str]) -> None:
        self._rewound = branch.rewound
        self._kept = kept
        self._asked = False  # a human has spoken, and the agent has not yet
        self._unasked = False  # a stream has begun, and nobody has
        self._items: list[_Turn | _Note | _Gap] = []
        self._turns: dict[str, _Turn] = {}
        self._results: dict[str, tuple[Result, Entry]] = {}
        self._spoken = {entry.heard.human for entry in branch.entries if entry.heard is not None and not entry.queued}
        self._last_turn: _Turn | None = None
        for number, entry in enumerate(branch.entries):
            self._unasked = self._unasked or (entry.begins and not self._asked)
            if entry.window or entry.unreadable:
                self._items.append(_Gap(entry.window))
            if entry.said is not None:
                self._say(entry, entry.said, own=number >= branch.context)
            elif entry.heard is not None:
                self._hear(entry, ledger)
        called = {call for turn in self._turns.values() for call in turn.calls}
        for call, (_, entry) in self._results.items():
            if call not in called:
                ledger.noise(entry.line, "result without its call")

    def _say(self, entry: Entry, said: Said, *, own: bool) -> None:
        turn = self._turns.get(said.id or "")
        if turn is None:
            if self._unasked:
                self._items.append(_Gap(window=False))
                self._unasked = False
            turn = _Turn(said.id, entry.time, own, said.model)
            self._asked = False
            self._turns[said.id or f"line {entry.line}"] = turn
            self._items.append(turn)
        if said.text.strip():
            turn.texts.append(said.text)
        for call in said.calls:
            turn.calls.setdefault(call.id, call)
        turn.signals += said.signals
        turn.counts = said.counts or turn.counts
        turn.lines.append(entry.line)
        self._last_turn = turn

    def _hear(self, entry: Entry, ledger: Ledger) -> None:
        heard = entry.heard
        assert heard is not None
        for result in heard.results:
            if self._results.setdefault(result.call, (result, entry))[1] is not entry:
                ledger.noise(entry.line, "second result")
        if heard.interrupted and self._last_turn is not None:
            self._last_turn.signals.append("interrupted")
            self._last_turn.lines.append(entry.line)
        elif heard.interrupted:
            ledger.noise(entry.line, "interrupt")
        if heard.harness:
            self._items.append(_Note(entry.uuid, entry.time, heard.harness, "harness", entry.line))
        if entry.queued and heard.human in self._spoken:
            ledger.noise(entry.line, "queue-operation")
        elif heard.human:
            self._items.append(_Note(entry.uuid, entry.time, heard.human, "human", entry.line))
            self._asked, self._unasked = True, False
        if heard.unreadable:
            self._items.append(_Gap(window=False))

    def first_note(self) -> str | None:
        """The first text under the user role."""
        return next((item.text for item in self._items if isinstance(item, _Note)), None)

    def windows(self) -> Iterator[_Window]:
        """The context windows in order; an empty one between two boundaries is left out."""
        window = _Window()
        answered: int | None = None  # where in the window the agent's last message is, since a human's last one
        unreadable = False
        for item in self._items:
            if isinstance(item, _Gap):
                unreadable = unreadable or not item.window
                if item.window and window.messages:
                    yield window
                    window, answered = _Window(), None
            elif isinstance(item, _Note):
                if item.origin == "human":
                    if answered is not None and corrects(item.text):
                        _signal(window.messages, answered, "corrected")
                    answered = None
                window.messages.append(Message("user", item.text, origin=item.origin, id=item.id, time=item.time))
                window.lines.append(item.line)
            elif item.texts or item.calls:
                answered = len(window.messages)
                unreadable = self._write(item, window, unreadable)
        yield window

    def _write(self, turn: _Turn, window: _Window, unreadable: bool) -> bool:
        """Write a turn and its results; returns whether a result holds something that is not text."""
        calls = tuple(turn.calls.values())
        paired = [(call, *self._results[call.id]) for call in calls if call.id in self._results]
        signals = list(turn.signals)
        for _, result, _ in paired:
            signals += result.signals
        if unreadable:
            signals.append("unreadable")
        if self._rewound and turn.own:
            signals.append("rewound")
        elif "tool_error" not in signals and any(call.id in self._kept for call, _, _ in paired):
            signals.append("kept")
        window.messages.append(
            Message(
                "assistant",
                "\n\n".join(turn.texts).strip(),
                calls,
                # What leads to an abandoned branch is the kept branch's turn, here it is only context.
                origin="agent" if turn.own else "harness",
                id=turn.id,
                time=turn.time,
                signals=tuple(dict.fromkeys(signals)),
                usage=turn.counts.usage(turn.model) if turn.counts and "synthetic" not in signals else None,
            )
        )
        window.lines += turn.lines
        for call, result, entry in paired:
            window.messages.append(
                Message(
                    "tool",
                    result.text,
                    tool_call_id=call.id,
                    tool_name=call.name,
                    origin="tool",
                    time=entry.time,
                )
            )
            window.lines.append(entry.line)
        if turn.own:
            window.turns += 1
            if turn.model is not None and "synthetic" not in turn.signals:
                window.model = turn.model
        return any(result.unreadable for _, result, _ in paired)


def _signal(messages: list[Message], at: int, signal: Signal) -> None:
    message = messages[at]
    messages[at] = msgspec.structs.replace(message, signals=(*message.signals, signal))
