"""Short ways to write sessions, for the tests of this room."""

from typing import Any, NamedTuple

from hypothesis import strategies as st

from locum.dataset.build import Options, build_session
from locum.dataset.store import decode_row
from locum.types import Drop, Message, Row, Session, Signal, ToolCall


def system(text: str) -> Message:
    return Message("system", text, origin="system")


def human(text: str, **more: Any) -> Message:
    return Message("user", text, origin="human", **more)


def harness(text: str, **more: Any) -> Message:
    return Message("user", text, origin="harness", **more)


def says(text: str, *signals: Signal, **more: Any) -> Message:
    return Message("assistant", text, origin="agent", signals=signals, **more)


def calls(*ids: str, text: str = "", signals: tuple[Signal, ...] = (), arguments: Any = None) -> Message:
    """A message with one call of `look` for each id."""
    made = tuple(ToolCall(id, "look", {"at": id} if arguments is None else arguments) for id in ids)
    return Message("assistant", text, made, origin="agent", signals=signals)


def result(id: str, text: str = "seen", *signals: Signal) -> Message:
    return Message("tool", text, tool_call_id=id, tool_name="look", origin="tool", signals=signals)


def session(*messages: Message, id: str = "s", **more: Any) -> Session:
    about: dict[str, Any] = {"lineage": id, "format": "claude_code", "source": f"{id}.jsonl"}
    return Session(id=id, messages=messages, **{**about, **more})


class Turns(NamedTuple):
    """What became of the turns of one session by itself."""

    rows: list[Row]
    drops: list[Drop]
    narration: int


def built(given_session: Session, options: Options | None = None) -> Turns:
    """The session's turns as rows and drops, before they are held against those of other sessions."""
    made = build_session(given_session, options or Options())
    rows = list(map(decode_row, made.lines))
    drops = [made.drop(turn, turn.reason) for turn in made.turns if turn.row is None]
    return Turns(rows, drops, sum(turn.narrates for turn in made.turns))


_text = st.text("abc \n", max_size=30) | st.integers(0, 3000).map(lambda n: "long " * (n // 5))
_signals: st.SearchStrategy[tuple[Signal, ...]] = st.sampled_from(
    [(), (), (), (), ("synthetic",), ("interrupted",), ("rewound",), ("corrected",)]
)


@st.composite
def sessions(draw: st.DrawFn, max_messages: int = 40) -> Session:
    """Sessions as unruly as logs are: calls without results, results without calls, any order."""
    messages: list[Message] = [system(draw(_text))] if draw(st.booleans()) else []
    open_calls: list[str] = []
    for at in range(draw(st.integers(0, max_messages))):
        kind = draw(st.sampled_from("hhasscccrrrrrx"))
        if kind == "h":
            messages.append(human(draw(_text)))
        elif kind == "a":
            messages.append(harness(draw(_text)))
        elif kind == "s":
            messages.append(says(draw(_text), *draw(_signals), id=draw(st.sampled_from([None, f"m{at}", "m"]))))
        elif kind == "c":
            ids = [f"c{at}.{n}" for n in range(draw(st.integers(1, 3)))]
            open_calls += ids
            messages.append(calls(*ids, text=draw(_text), arguments={"q": draw(_text)}))
        elif kind == "r" and open_calls:
            messages.append(result(open_calls.pop(0), draw(_text)))
        elif kind == "x":
            messages.append(result("nowhere", draw(_text)))
    return session(*messages)
