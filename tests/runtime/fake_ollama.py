"""A small server that speaks as much of Ollama's API as Locum uses, and remembers what it was sent."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SUCCESS: tuple[dict[str, Any], ...] = (
    {"status": "parsing GGUF"},
    {"status": "creating new layer sha256:00"},
    {"status": "writing manifest"},
    {"status": "success"},
)


class FakeOllama:
    """What it was sent, and how it shall answer."""

    def __init__(self) -> None:
        self.host = ""
        self.blobs: dict[str, bytes] = {}
        self.created: list[dict[str, Any]] = []
        self.chats: list[dict[str, Any]] = []
        self.models: list[str] = []
        self.on_create: tuple[dict[str, Any], ...] = SUCCESS
        self.on_chat: tuple[dict[str, Any], ...] = ()
        self.broken = False
        """Every answer is an error of the server."""


class _Handler(BaseHTTPRequestHandler):
    fake: FakeOllama

    def do_HEAD(self) -> None:
        known = self.path.removeprefix("/api/blobs/") in self.fake.blobs
        self._answer(200 if known or not self.path.startswith("/api/blobs/") else 404, b"")

    def do_GET(self) -> None:
        if self.fake.broken:
            self._answer(500, b'{"error": "out of order"}')
        elif self.path == "/api/tags":
            models = [{"model": name, "name": name, "size": 1, "digest": "00"} for name in self.fake.models]
            self._answer(200, json.dumps({"models": models}).encode())
        else:
            self._answer(404, b"404 page not found")

    def do_POST(self) -> None:
        body = self._body()
        if self.path.startswith("/api/blobs/"):
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
            if self.path != f"/api/blobs/{digest}":
                self._answer(400, b'{"error": "digest mismatch"}')
                return
            self.fake.blobs[digest] = body
            self._answer(201, b"")
        elif self.path == "/api/create":
            self.fake.created.append(json.loads(body))
            self._stream(self.fake.on_create)
        elif self.path == "/api/chat":
            asked = json.loads(body)
            self.fake.chats.append(asked)
            if asked["model"] not in self.fake.models:
                self._answer(404, json.dumps({"error": f"model '{asked['model']}' not found"}).encode())
            else:
                self._stream(self.fake.on_chat)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, lines: tuple[dict[str, Any], ...]) -> None:
        """NDJSON under status 200, as Ollama streams: an error in the middle is a line like any other."""
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Connection", "close")
        self.end_headers()
        for line in lines:
            self.wfile.write(json.dumps(line).encode() + b"\n")
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[FakeOllama]:
    """A fake Ollama on a free port of the loopback interface."""
    fake = FakeOllama()
    handler = type("Handler", (_Handler,), {"fake": fake})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        fake.host = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield fake
        server.shutdown()
        thread.join()
