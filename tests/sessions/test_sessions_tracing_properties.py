"""Exports of tracers that are nearly whole, damaged or cut: each reader copes, and every record has one fate."""

import csv
import io
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import polars
import pytest
from claude_log import adds_up
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_sessions_langfuse import as_table, observation, score, trace
from test_sessions_langsmith import SHAPES, feedback, run
from test_sessions_otel import GENERATIONS, annotation, bodies, flattened, framed, grown, log, logs, phoenix
from trace_exports import ANSWERS, otlp, span

from locum.sessions.jsonl import BadRecord
from locum.sessions.langfuse import Langfuse
from locum.sessions.langsmith import LangSmith
from locum.sessions.otel import OpenInference, OTelGenAI
from locum.sessions.reader import FileReading, Reader
from locum.sessions.registry import READERS
from locum.sessions.tracing.messages import Talk, listed, tree
from locum.sessions.tracing.payloads import asked_in, said_in
from locum.types import Session


def deep() -> Any:
    value: Any = "x"
    for _ in range(400):
        value = {"a": [value]}
    return value


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=5,
)
TEXTS = ["", "[]", "{}", '[{"role"', '{"messages": [[', "0x", "\ud800", "tool", "GENERATION", "llm", "role.x..y"]
ODD = JSON | st.just(deep()) | st.sampled_from(TEXTS)
EXPORTS: dict[str, tuple[Reader, Callable[[], list[Any]]]] = {
    **{
        f"otel: {name}": (OTelGenAI(), lambda make=make: [otlp(*map(make, ANSWERS))])  # type: ignore[misc]
        for name, make in GENERATIONS.items()
    },
    "otel: logs": (OTelGenAI(), lambda: [logs(*(log(4, *one, as_attribute=True) for one in bodies(4))), otlp()]),
    "openinference: OTLP": (OpenInference(), lambda: [otlp(*(span(f"s{n}", flattened(n)) for n in ANSWERS))]),
    "openinference: REST": (
        OpenInference(),
        lambda: [*(phoenix(n, grown(n), annotations=[annotation("s2", 1)]) for n in ANSWERS), annotation("s4", 0)],
    ),
    "openinference: frame": (OpenInference(), lambda: [framed(n) for n in ANSWERS]),
    "langfuse": (Langfuse(), lambda: [trace(), *(observation(n) for n in ANSWERS), score(1), score(0, call="g2")]),
    "langfuse: one trace": (Langfuse(), lambda: [{**trace(), "observations": [observation(n) for n in ANSWERS]}]),
    **{
        f"langsmith: {shape}": (
            LangSmith(),
            lambda shape=shape: [*(run(n, shape) for n in ANSWERS), feedback("r2", 1)],  # type: ignore[misc]
        )
        for shape in SHAPES
    },
}


def spoiled(value: Any, data: st.DataObject) -> Any:
    """The value, with one thing somewhere in it missing or anything else."""
    if isinstance(value, dict | list) and value and data.draw(st.integers(0, 7)):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = data.draw(st.sampled_from(keys))
        copy = dict(value) if isinstance(value, dict) else list(value)
        copy[key] = spoiled(copy[key], data)
        return copy
    if isinstance(value, str) and value[:1] in ("{", "[") and data.draw(st.booleans()):
        with suppress(ValueError):  # spoiled before
            return json.dumps(spoiled(json.loads(value), data))
    return data.draw(ODD)


def check(reader: Reader, path: Path) -> FileReading:
    raw = path.read_bytes()
    reader.detects(raw[: 1 << 16], path)
    reading = reader.read(path)
    adds_up(reading)
    for session in reading.sessions:
        assert msgspec.json.decode(msgspec.json.encode(session), type=Session) == session
        assert session.messages[-1].origin == "agent"
        called = [call.id for message in session.messages for call in message.tool_calls]
        assert all(message.tool_call_id in called for message in session.messages if message.role == "tool")
    return reading


LENIENT = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.parametrize("name", EXPORTS)
@LENIENT
@given(data=st.data())
def test_an_export_with_anything_in_it_is_accounted_for(tmp_path: Path, name: str, data: st.DataObject) -> None:
    reader, make = EXPORTS[name]
    records = make()
    for _ in range(data.draw(st.integers(1, 3))):
        records = spoiled(records, data)
    path = tmp_path / "export"
    if data.draw(st.booleans()) or not isinstance(records, list):
        path.write_text(json.dumps(records, indent=data.draw(st.sampled_from([None, 1]))))
    else:
        path.write_text("\n".join(json.dumps(one) for one in records))
    check(reader, path)


@pytest.mark.parametrize("name", EXPORTS)
@LENIENT
@given(data=st.data())
def test_bytes_that_are_lost_or_changed_never_end_it(tmp_path: Path, name: str, data: st.DataObject) -> None:
    reader, make = EXPORTS[name]
    raw = "\n".join(json.dumps(one) for one in make()).encode()
    at = data.draw(st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        raw = raw[:at]
    else:
        raw = raw[:at] + data.draw(st.binary(max_size=4)) + raw[at + data.draw(st.integers(0, 30)) :]
    path = tmp_path / "export"
    path.write_bytes(raw)
    reading = check(reader, path)
    if raw and reading.lines.total == 0:
        assert not raw.strip()


@LENIENT
@given(data=st.data())
def test_a_table_of_texts_is_accounted_for(tmp_path: Path, data: st.DataObject) -> None:
    rows = as_table([observation(n) for n in ANSWERS])
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    raw = out.getvalue().encode()
    at = data.draw(st.integers(0, len(raw)))
    path = tmp_path / "export.csv"
    path.write_bytes(raw[:at] + data.draw(st.binary(max_size=4)) + raw[at + data.draw(st.integers(0, 30)) :])
    check(Langfuse(), path)


@pytest.mark.parametrize("at", [5, 300, 1000, -5, -9, -200])
@pytest.mark.parametrize("cut", [True, False])
def test_a_damaged_parquet_file_is_bad_or_read_as_far_as_it_goes(tmp_path: Path, at: int, cut: bool) -> None:
    path = tmp_path / "export.parquet"
    polars.DataFrame(as_table([observation(n) for n in ANSWERS])).write_parquet(path)
    raw = bytearray(path.read_bytes())
    raw[at] ^= 0x55
    path.write_bytes(raw[:at] if cut else raw)
    reading = check(Langfuse(), path)
    assert reading.lines.total >= 1
    assert not cut or reading.lines.bad


@given(value=ODD)
@settings(deadline=None)
def test_any_value_is_messages_or_none(value: Any) -> None:
    for take in (asked_in, said_in):
        with suppress(BadRecord):
            found = take(value)
            talk = Talk()
            for raw in found.messages if found is not None else ():
                talk.add(raw)


@given(st.dictionaries(st.text("ab.0", max_size=8), st.none() | st.text(max_size=3), max_size=6))
def test_no_value_of_an_attribute_is_lost_unless_an_object_has_its_name(attributes: dict[str, str | None]) -> None:
    grown_tree = tree(attributes)
    for name, value in attributes.items():
        place: Any = grown_tree
        for step in name.split("."):
            place = place[step]
        assert place == value or isinstance(place, dict)


@given(st.lists(st.integers(), max_size=30), st.randoms())
def test_a_list_is_the_same_however_it_is_written(values: list[int], random: Any) -> None:
    places = [(str(at), value) for at, value in enumerate(values)]
    random.shuffle(places)
    assert listed(values) == listed(json.dumps(values)) == values
    assert listed(dict(places)) == values


@pytest.mark.parametrize("name", EXPORTS)
def test_only_one_reader_knows_each_export(tmp_path: Path, name: str) -> None:
    reader, make = EXPORTS[name]
    path = tmp_path / "export"
    path.write_text("\n".join(json.dumps(one) for one in make()))
    head = path.read_bytes()[: 1 << 16]
    assert next(one.name for one in READERS if one.detects(head, path)) == reader.name
