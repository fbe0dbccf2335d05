"""How much of a call is right where not all of it is: its tool, its argument keys, its argument values."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from locum.evaluation.decisions import same_call
from locum.types import ToolCall


class Partial(msgspec.Struct, frozen=True):
    """Shares from 0 to 1: twice what both hold over what each holds (F1), so that calls too many cost as much as
    calls too few. Arguments count only where the tool is right."""

    name: float
    keys: float
    values: float


def partial(a: Sequence[ToolCall], b: Sequence[ToolCall]) -> Partial:
    """How much of the recorded calls an answer's calls hold.

    Args:
        a: the calls to judge.
        b: the recorded ones, at least one.
    """
    names_a, names_b = Counter(call.name for call in a), Counter(call.name for call in b)
    keys = values = total = 0
    left = list(a)
    for call in b:
        # Of several calls of one tool, the one that has most values right answers for it.
        own = [other for other in left if other.name == call.name]
        match = max(own, key=lambda other: _values(other, call), default=None)
        total += len(call.arguments)
        if match is not None:
            left.remove(match)
            keys += len(match.arguments.keys() & call.arguments.keys())
            values += _values(match, call)
    total += sum(len(call.arguments) for call in a)
    name = 2 * (names_a & names_b).total() / (len(a) + len(b))
    if total == 0:
        return Partial(name, name, name)
    return Partial(name, 2 * keys / total, 2 * values / total)


def _values(a: ToolCall, b: ToolCall) -> int:
    """How many of the arguments that both state have the same value, by JSON type."""
    both = a.arguments.keys() & b.arguments.keys()
    return sum(same_call(_only(a, key), _only(b, key)) for key in both)


def _only(call: ToolCall, key: str) -> ToolCall:
    return ToolCall(id="", name=call.name, arguments={key: call.arguments[key]})
