"""What the agent's turns took is summed by model, each turn once, and stands in no row."""

import msgspec
from built_dataset import build

from locum.dataset.stats import Calls
from locum.types import Message, Session, Usage


def said(n: int, usage: Usage | None, **more: str) -> Message:
    return Message("assistant", f"Answer {n}, long enough.", origin="agent", id=f"m{n}", usage=usage, **more)  # type: ignore[arg-type]


def session(name: str, *messages: Message) -> Session:
    asked = [Message("user", f"Question {at} of {name}?", origin="human") for at in range(len(messages))]
    paired = [one for pair in zip(asked, messages, strict=True) for one in pair]
    about = {"format": "claude_code", "source": name, "provider": "mine", "model": "x"}
    return Session(id=name, lineage="l", messages=tuple(paired), **about)  # type: ignore[arg-type]


def test_each_turn_counts_once_under_its_own_model() -> None:
    one, other = Usage(100, 10, 70, 0.5), Usage(50, 5, 0, None, "y")
    whole = session("a", said(1, one), said(2, other), said(3, None), said(4, one))
    found = build(whole, session("b", said(1, one), said(2, other))).stats
    assert found.usage == {
        "mine/x": Calls(calls=2, input=200, output=20, cached=140, priced=2, cost=1.0),
        "mine/y": Calls(calls=1, input=50, output=5),
    }
    assert found.drops["copy"] == 2


def test_rows_are_what_they_are_without_it() -> None:
    counted = build(session("a", said(1, Usage(9, 9)), said(2, Usage(9, 9))))
    plain = build(session("a", said(1, None), said(2, None)))
    assert plain.stats.usage == {}
    assert counted.rows == plain.rows
    assert counted.stats == msgspec.structs.replace(plain.stats, usage=counted.stats.usage)
