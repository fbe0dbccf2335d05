"""Files that are nearly of a format, damaged or not: each reader copes, and every record has one fate."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from claude_log import adds_up
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from locum.sessions.aider import Aider
from locum.sessions.alpaca import Alpaca
from locum.sessions.openhands import OpenHands
from locum.sessions.reader import Reader
from locum.sessions.request_log import RequestLog
from locum.sessions.sharegpt import ShareGPT
from locum.sessions.swe_agent import SweAgent
from locum.sessions.tau2_bench import Tau2Bench
from locum.types import Session

S = st.SearchStrategy[Any]
JSON: S = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=5,
)


def deep() -> Any:
    value: Any = "x"
    for _ in range(400):
        value = {"a": [value]}
    return value


ODD: S = JSON | st.just(deep())
ID: S = st.sampled_from(["a", "b", "c", None, 3])
TEXT: S = st.sampled_from(
    ["hi", "", '{"message": "hi"}', "###STOP###", "<function=f>\n<parameter=p>1</parameter>", "Error", "\x1b[1mx\r\n"]
)


def record(**keys: S) -> S:
    """An object of which sometimes one key is missing, or holds anything."""

    def spoil(made: tuple[dict[str, Any], int, str, Any]) -> dict[str, Any]:
        whole, luck, key, odd = made
        if luck > 1:
            return whole
        return {**whole, key: odd} if luck else {other: value for other, value in whole.items() if other != key}

    return st.tuples(st.fixed_dictionaries(keys), st.integers(0, 14), st.sampled_from(sorted(keys)), ODD).map(spoil)


def some(items: S, most: int) -> S:
    """A list of them, in which sometimes one is anything."""
    return st.tuples(st.lists(items, min_size=1, max_size=most), st.integers(0, 9), ODD).map(
        lambda made: [*made[0], made[2]] if made[1] == 0 else made[0]
    )


ROLE: S = st.sampled_from(["system", "user", "assistant", "tool"])
FUNCTION = record(name=st.just("f"), arguments=st.sampled_from(["{}", {"p": 1}, "{", None]))
CALL = record(id=ID, name=st.just("f"), arguments=st.just({}), function=FUNCTION, requestor=st.just("user"))
BLOCK = record(
    type=st.sampled_from(["text", "tool_use", "tool_result", "thinking", "image"]),
    text=TEXT,
    id=ID,
    name=st.just("f"),
    input=st.just({}),
    tool_use_id=ID,
    content=TEXT,
)
USER = record(role=st.just("user"), content=TEXT | st.lists(BLOCK, max_size=2), agent=st.just("main"), timestamp=TEXT)
AGENT = record(
    role=st.just("assistant"),
    content=TEXT | st.lists(BLOCK, max_size=2),
    tool_calls=st.lists(CALL, max_size=2) | st.none(),
    agent=st.just("main"),
    is_demo=st.just(False),
)
TOOL = record(
    role=st.just("tool"),
    id=ID,
    tool_call_id=ID,
    tool_call_ids=st.lists(ID, max_size=2),
    content=TEXT,
    error=st.booleans(),
)
MESSAGE = USER | AGENT | TOOL | record(role=ROLE, content=TEXT, requestor=st.just("user"))
MESSAGES = some(MESSAGE, 5)
SIMULATION = record(task_id=ID, messages=MESSAGES, reward_info=record(reward=st.just(1.0)), policy=TEXT)
TAU2 = record(
    info=record(environment_info=record(policy=TEXT, tool_defs=ODD), agent_info=record(llm=TEXT)),
    tasks=st.lists(record(id=ID, user_scenario=ODD), max_size=2),
    simulations=some(SIMULATION, 3),
)
SWE = record(history=MESSAGES, info=ODD, replay_config=TEXT)
ANSWER = record(id=ID, choices=some(record(message=AGENT, finish_reason=st.just("length")), 1))
EVENT = record(
    id=ID,
    source=st.sampled_from(["agent", "user", "environment"]),
    action=st.sampled_from(["run", "message", "system", "recall", "new", None]),
    observation=st.sampled_from(["run", "error", "null"]),
    args=record(content=TEXT, command=TEXT, tools=ODD),
    cause=ID,
    content=TEXT,
    extras=record(exit_code=st.integers(-1, 2), metadata=record(exit_code=st.integers(-1, 2))),
    tool_call_metadata=record(tool_call_id=ID, function_name=TEXT, model_response=ANSWER),
)
OUTPUT = record(instance_id=ID, history=some(EVENT | st.lists(EVENT, max_size=2), 4), test_result=ODD)
SDK = record(
    id=ID,
    source=st.sampled_from(["agent", "user"]),
    kind=st.sampled_from(
        ["SystemPromptEvent", "MessageEvent", "ActionEvent", "ObservationEvent", "AgentErrorEvent", "PauseEvent", "New"]
    ),
    llm_message=MESSAGE,
    tool_call_id=ID,
    tool_name=st.just("f"),
    tool_call=FUNCTION,
    thought=st.lists(BLOCK, max_size=2),
    llm_response_id=ID,
    observation=record(content=TEXT, is_error=st.booleans(), exit_code=st.integers(-1, 2)),
    tools=ODD,
)
SAID = record(**{"from": st.sampled_from(["human", "gpt", "function_call", "observation"]), "value": TEXT})
SHARE = record(conversations=some(SAID, 4), system=TEXT, tools=st.sampled_from(["", "[]", "x"]))
ALPACA = record(
    instruction=TEXT, input=TEXT, output=TEXT, history=st.lists(st.lists(TEXT, min_size=2, max_size=2), max_size=2)
)
REQUEST = record(model=TEXT, messages=MESSAGES, tools=st.just([]), system=TEXT, max_tokens=st.integers(1, 900))
RESPONSE = ANSWER | record(type=st.just("message"), content=some(BLOCK, 3), stop_reason=TEXT)
STREAM: S = st.sampled_from(
    [
        'data: {"choices": [{"delta": {"content": "hi", "tool_calls": [{"index": 0}]}}]}\n\ndata: [DONE]',
        'event: x\ndata: {"type": "message_start", "message": {}}\ndata: {"type": "content_block_stop", "index": 1}',
        'data: {"type": "message_start"}\ndata: {"type": "content_block_delta", "index": 0, "delta": 3}',
    ]
)
LOGGED = record(request=REQUEST, response=RESPONSE | STREAM | record(body=RESPONSE), timestamp=ODD) | (
    st.tuples(REQUEST, RESPONSE).map(lambda pair: {**pair[0], "response": pair[1]})
)
LINE: S = st.sampled_from(
    [
        "# aider chat started at 2026-01-01 10:00:00",
        "#### fix it  ",
        "#### /undo  ",
        "#### /clear  ",
        "#### /ask why  ",
        "> Tokens: 1 sent, 2 received.  ",
        "> Commit abcdef1 x  ",
        "> Removed: abcdef1 x  ",
        "> The LLM did not conform to the edit format.  ",
        "> ^C again to exit  ",
        "> Model: gpt-4o with diff edit format  ",
        "",
        "Done.",
        "#### fix it  \n\n<<<<<<< SEARCH\nx = 1\n=======\n>>>>>>> REPLACE\n\n> Tokens: 1 sent, 2 received.  ",
    ]
)


def lines(records: S) -> S:
    return some(records, 5).map(lambda made: b"\n".join(json.dumps(one).encode() for one in made))


def whole(records: S) -> S:
    return st.tuples(records, st.sampled_from([None, 1])).map(lambda made: json.dumps(made[0], indent=made[1]).encode())


def both(records: S) -> S:
    return lines(records) | whole(some(records, 4)) | whole(records)


FORMATS: list[tuple[Reader, S]] = [
    (Tau2Bench(), whole(TAU2)),
    (SweAgent(), whole(SWE)),
    (OpenHands(), both(OUTPUT) | both(SDK)),
    (RequestLog(), both(LOGGED)),
    (ShareGPT(), both(SHARE)),
    (Alpaca(), both(ALPACA)),
    (Aider(), st.lists(LINE, max_size=14).map(lambda made: "\n".join(made).encode())),
]


@pytest.mark.parametrize(("reader", "content"), FORMATS, ids=[reader.name for reader, _ in FORMATS])
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_a_file_of_a_format_is_read_or_not_recognised(
    tmp_path: Path, reader: Reader, content: S, data: st.DataObject
) -> None:
    raw = data.draw(content)
    if data.draw(st.booleans()):
        at, gone = data.draw(st.integers(0, max(len(raw) - 1, 0))), data.draw(st.integers(0, 30))
        raw = raw[:at] + data.draw(st.binary(max_size=4)) + raw[at + gone :]
    path = tmp_path / "any"
    path.write_bytes(raw)
    reader.detects(raw[: 1 << 16], path)
    reading = reader.read(path)
    adds_up(reading)
    for session in reading.sessions:
        assert msgspec.json.decode(msgspec.json.encode(session), type=Session) == session
        assert any(message.origin == "agent" for message in session.messages)
        called = [call.id for message in session.messages for call in message.tool_calls]
        assert all(message.tool_call_id in called for message in session.messages if message.role == "tool")
