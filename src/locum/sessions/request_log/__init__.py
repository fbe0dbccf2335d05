"""Logs of calls to models, request and response in one record: Anthropic's Messages and OpenAI's chat completions,
as proxies (LiteLLM), tracers and harnesses (OpenHands) write them, one a line or one a file.

`exchanges` finds request and response in a record, `streams` merges streamed responses, `anthropic` and `openai`
convert the two dialects, `grouping` makes sessions of calls that repeat each other's history.

Assumed, because no file at hand holds it: the request stands under `request` or `request_body` or is the record
itself, the response under `response` or `response_body`; either may be wrapped in `body` or `body_raw`, be JSON in
a text, or the text or list of a stream's events.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from locum.sessions.grouping import Call, Grouping, side_call
from locum.sessions.json_records import head_values, read_records
from locum.sessions.jsonl import BadRecord
from locum.sessions.ledger import Ledger
from locum.sessions.reader import FileReading
from locum.sessions.request_log import anthropic, openai
from locum.sessions.request_log.exchanges import Exchange, exchange_of
from locum.types import Session


class RequestLog:
    """Reader of logs of calls to models."""

    name = "request_log"

    def detects(self, head: bytes, path: Path) -> bool:
        """One record with a request's messages and a response is enough."""
        if b'"messages"' not in head and b'"request' not in head:
            return False
        return any(_is_own(record) for record in head_values(head, path))

    def read(self, path: Path) -> FileReading:
        """One session for every conversation: its longest call with the response to it."""
        ledger = Ledger(path)
        grouping = Grouping(ledger)
        for number, record in read_records(path, ledger):
            for call in _calls(number, record, ledger):
                grouping.add(call)
        return FileReading(str(path), self.name, tuple(_sessions(grouping, path)), ledger.lines())


def _calls(number: int, record: Any, ledger: Ledger) -> Iterator[Call]:
    """The call that a record holds, if it is one that was answered."""
    try:
        exchange = exchange_of(record)
        if isinstance(exchange, str):
            ledger.noise(number, exchange)
        elif exchange is None:
            ledger.unknown(number, "(no request with messages)")
        else:
            dialect = anthropic if _is_anthropic(exchange) else openai
            call, unknown = dialect.call_of(exchange, number)
            if unknown is not None:
                ledger.unknown(number, unknown)
            if call is None:
                ledger.noise(number, "call without an answer")
            elif (kind := side_call(call)) is not None:
                ledger.noise(number, kind)
            else:
                yield call
    except BadRecord as reason:
        ledger.bad(number, str(reason))


def _sessions(grouping: Grouping, path: Path) -> Iterator[Session]:
    for call in grouping.longest():
        yield Session(
            id=f"{path.stem}:{call.number}",
            lineage=f"{RequestLog.name}:{call.beginning}",
            format=RequestLog.name,
            source=str(path),
            messages=tuple(call.messages),
            tools=call.tools,
            started=call.started,
            provider=call.provider,
            model=call.model,
        )


def _is_anthropic(exchange: Exchange) -> bool:
    """Whether the call was made in Anthropic's dialect: by its response, else by its request."""
    response = exchange.response
    if response is not None and "choices" in response:
        return False
    if response is not None and isinstance(response.get("content"), list):
        return True
    tools = exchange.request.get("tools")
    return "system" in exchange.request or (
        isinstance(tools, list) and any(isinstance(tool, dict) and "input_schema" in tool for tool in tools)
    )


def _is_own(record: Any) -> bool:
    try:
        return isinstance(exchange_of(record), Exchange)
    except BadRecord:
        return False
