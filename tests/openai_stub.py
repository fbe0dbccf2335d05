"""A server of OpenAI's API that answers what a test puts into it: well, badly, slowly, or half."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

from loopback import listening


def chunk(text: str | None = None, finish: str | None = None) -> dict[str, Any]:
    """A piece of a streamed answer."""
    return {"choices": [{"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}]}


def answer(text: str = "It is.", finish: str = "stop", **choice: Any) -> dict[str, Any]:
    """A whole answer of the chat API."""
    message = {"role": "assistant", "content": text}
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish, **choice}]}


class Stub:
    """What it was asked, and how it shall answer."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, dict[str, Any]]] = []
        """(path, body) of every POST."""
        self.headers: list[dict[str, str]] = []
        self.status = 200
        self.key: str | None = None
        """Without it every answer is 401, with the wrong key quoted in it."""
        self.events: Iterable[Any] = (chunk("It "), chunk("is."), chunk(finish="stop"), "[DONE]")
        """What is streamed, for ever if it has no end: dicts as JSON, texts as they are."""
        self.dies = False
        """The connection breaks after the events."""
        self.waits = 0.0
        self.encoding = "identity"
        """What it says that its answers are written in."""
        self.models: Any = {"data": [{"id": "mine"}]}
        self.reply: Callable[[str, dict[str, Any]], Any] = lambda path, body: answer()


class _Handler(BaseHTTPRequestHandler):
    stub: Stub

    def do_GET(self) -> None:
        if not self._refused():
            self._answer(self.stub.status, self.stub.models)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._refused():
            return
        self.stub.asked.append((self.path, body))
        time.sleep(self.stub.waits)
        if self.stub.status == 200 and body.get("stream"):
            self._stream()
        else:
            self._answer(self.stub.status, self.stub.reply(self.path, body))

    def _refused(self) -> bool:
        self.stub.headers.append(dict(self.headers))
        given = self.headers.get("Authorization", "")
        if self.stub.key is None or given == f"Bearer {self.stub.key}":
            return False
        self._answer(401, {"error": {"message": f"bad key: {given}"}})
        return True

    def _answer(self, status: int, value: Any) -> None:
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Encoding", self.stub.encoding)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        if self.stub.dies:
            self.send_header("Content-Length", "100000")
        self.end_headers()
        for event in self.stub.events:
            self.wfile.write(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode())
            self.wfile.flush()
        self.close_connection = True

    def handle(self) -> None:
        # A client that has lost its patience is gone before it is answered.
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[Stub]:
    """A stub on a free port of the loopback interface."""
    stub = Stub()
    handler = type("Handler", (_Handler,), {"stub": stub})
    with listening(handler) as address:
        stub.url = f"{address}/v1"
        yield stub
