"""Tool calls that failed, as the spans of the tools have them, laid on the messages that made the calls."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from locum.sessions.chat_messages import with_signals
from locum.sessions.jsonl import BadRecord, arguments
from locum.types import Message

_Key = tuple[str, ...]


class Failure(msgspec.Struct, frozen=True):
    """A tool call that failed, as the span of the tool has it."""

    number: int
    """Of its record."""
    trace: str
    call: str = ""
    """The call's id; where it is empty, the first call of that tool with these arguments is meant."""
    tool: str = ""
    arguments: Any = None
    """An object, or the text of one."""


class Failures:
    """Takes failures in any order; finds those of a session by its calls, however many others there are."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        """Of all their records."""
        self._found: dict[_Key, list[int]] = {}
        self._traces: set[str] = set()

    def add(self, failure: Failure) -> None:
        """Take a failure."""
        self.numbers.append(failure.number)
        try:
            key = (failure.call,) if failure.call else _body(failure.tool, arguments(failure.arguments))
        except BadRecord:
            return  # it says neither which call it is of nor what the call was
        self._traces.add(failure.trace)
        self._found.setdefault((failure.trace, *key), []).append(failure.number)

    def mark(self, messages: list[Message], traces: Sequence[str]) -> Iterator[int]:
        """Mark the messages whose calls failed within these traces; the numbers of the records that say so.

        As many calls of the same are marked as failed, the first ones.
        """
        traces = [trace for trace in traces if trace in self._traces]
        marked: Counter[_Key] = Counter()
        for at, message in enumerate(messages) if traces else ():
            for call in message.tool_calls:
                bodies = ((call.id,), _body(call.name, call.arguments))
                for key in ((trace, *body) for trace in traces for body in bodies):
                    numbers = self._found.get(key, ())
                    if marked[key] < len(numbers):
                        yield numbers[marked[key]]
                        marked[key] += 1
                        messages[at] = with_signals(messages[at], "tool_error")
                        break


def _body(tool: str, given: dict[str, Any]) -> _Key:
    return tool, msgspec.json.encode(given, order="deterministic").decode()
