"""A server that speaks as much of Ollama's API as Locum uses, as its documentation and its sources describe it.

Blobs with their digests checked, `create` with its stream of states (an error in the middle is a line under status
200), files that are written anew, a template guessed by edit distance where none is given, zeros left out of answers,
`show`, `copy`, `delete` with a body, the check of the Host header, and the debug rendering.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from itertools import islice
from typing import Any

from go_template import render
from loopback import listening

SUCCESS: tuple[dict[str, Any], ...] = (
    {"status": "parsing GGUF"},
    {"status": "validating GGUF model", "digest": "sha256:00", "total": 4, "completed": 1},
    {"status": "creating new layer sha256:00"},
    {"status": "writing manifest"},
    {"status": "success"},
)
ANSWER: tuple[dict[str, Any], ...] = (
    {"message": {"role": "assistant", "content": "It "}, "done": False},
    {"message": {"role": "assistant", "content": "is."}, "done": False},
    # Counts and durations of zero are left out.
    {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"},
)
_NAME = re.compile(r"[A-Za-z0-9_][\w.-]{0,79}(:[A-Za-z0-9_][\w.-]{0,79})?")
_KNOWN = {"temperature", "repeat_penalty", "stop", "num_ctx", "top_k", "top_p", "seed", "num_predict"}


def full(name: str) -> str:
    return name if ":" in name else f"{name}:latest"


def as_go_writes(value: Any) -> str:
    """JSON as Go's encoder writes it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


class FakeOllama:
    """What it holds, what it was sent, and how it shall answer."""

    def __init__(self) -> None:
        self.host = ""
        self.blobs: dict[str, bytes] = {}
        self.made: dict[str, dict[str, Any]] = {}
        """Full name -> the body of the `create` that made it."""
        self.created: list[dict[str, Any]] = []
        self.chats: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.generated: list[dict[str, Any]] = []
        self.on_generate: Callable[[dict[str, Any]], dict[str, Any]] = lambda asked: {
            "response": "It is.",
            "done": True,
            "done_reason": "stop",
        }
        """The answer to a raw prompt; a version before 0.12.11 gives no log-probabilities with it."""
        self.on_create: tuple[dict[str, Any], ...] = SUCCESS
        self.on_chat: Iterable[dict[str, Any]] = ANSWER
        """What is streamed, for ever if it has no end."""
        self.version: str | None = "0.13.0"
        self.rewrites = True
        """Whether the stored file is another than the one that was sent."""
        self.ignores: frozenset[str] = frozenset()
        """Fields of `create` that this version does not know."""
        self.renders = True
        self.broken = False
        """Every answer is an error of the server."""
        self.dies = False
        """The connection breaks in the middle of a stream."""
        self.listed = 0
        """How often it was asked for its models."""

    def show(self, name: str) -> dict[str, Any]:
        made = self.made[name]
        rewritten = self.rewrites or "quantize" in made
        blob = hashlib.sha256(b"rewritten" if rewritten else self.blobs[made["blob"]]).hexdigest()
        lines = [
            f"{key:<30} {json.dumps(value) if isinstance(value, str) else f'{value:g}'}"
            for key, values in made.get("parameters", {}).items()
            for value in (values if isinstance(values, list) else [values])
        ]
        modelfile = [f"FROM /models/blobs/sha256-{blob}", f'TEMPLATE """{made["template"]}"""']
        modelfile += [f'SYSTEM """{made["system"]}"""'] if made.get("system") else []
        return {
            "modelfile": "\n".join(modelfile),
            "parameters": "\n".join(lines),
            "template": made["template"],
            "details": {"family": "llama", "families": None, "quantization_level": made.get("quantize", "F32")},
            "model_info": {},
            "capabilities": ["completion"],
        }

    def rendered(self, asked: dict[str, Any]) -> str:
        made = self.made[full(asked["model"])]
        messages = list(asked["messages"])
        if made.get("system") and messages[0]["role"] != "system":
            messages.insert(0, {"role": "system", "content": made["system"]})
        merged: list[dict[str, Any]] = []
        for message in messages:
            if merged and merged[-1]["role"] == message["role"] != "tool":
                merged[-1] = merged[-1] | {"content": merged[-1]["content"] + "\n\n" + message["content"]}
            else:
                merged.append(message)
        data = {
            "System": "\n\n".join(message["content"] for message in messages if message["role"] == "system"),
            "Tools": asked.get("tools") or [],
            "Messages": [
                {
                    "Role": message["role"],
                    "Content": message["content"],
                    "ToolCalls": [
                        {"Function": {"Name": call["function"]["name"], "Arguments": call["function"]["arguments"]}}
                        for call in message.get("tool_calls", [])
                    ],
                }
                for message in merged
            ],
        }
        return render(made["template"], data, as_go_writes)


def answering_as(weights: Any, renderer: Any, off: float = 0.0) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """An `on_generate` of a version that tells log-probabilities: those of weights in torch, less `off`."""

    def generate(asked: dict[str, Any]) -> dict[str, Any]:
        values = weights.next_log_probabilities(renderer.tokens(asked["prompt"]))
        tops = [
            {"token": renderer.tokenizer.decode([int(token)]), "logprob": float(values[token]) - off}
            for token in (-values).argsort()[: asked.get("top_logprobs", 0)]
        ]
        return {"response": "", "done": True, "logprobs": [{"token": "", "logprob": 0.0, "top_logprobs": tops}]}

    return generate


STOCK = {"chatml": "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}"}
"""What is taken where the file's own Jinja is within 100 edits of a known one: here, always."""


class _Handler(BaseHTTPRequestHandler):
    fake: FakeOllama

    def _refused(self) -> bool:
        host = self.headers.get("Host", "").rpartition(":")[0]
        if host not in ("127.0.0.1", "localhost"):
            self._answer(403, {})
        elif self.fake.broken:
            self._answer(500, {"error": "out of order"})
        else:
            return False
        return True

    def do_HEAD(self) -> None:
        known = self.path.removeprefix("/api/blobs/") in self.fake.blobs
        self._answer(200 if known or not self.path.startswith("/api/blobs/") else 404, None)

    def do_GET(self) -> None:
        if self._refused():
            return
        if self.path == "/api/tags":
            self.fake.listed += 1
            models = [{"model": name, "name": name, "size": 1, "digest": "00"} for name in self.fake.made]
            self._answer(200, {"models": models})
        elif self.path == "/api/version" and self.fake.version:
            self._answer(200, {"version": self.fake.version})
        else:
            self._answer(404, None)

    def do_DELETE(self) -> None:
        if self._refused():
            return
        name = json.loads(self._body())["model"]
        if self.fake.made.pop(full(name), None) is None:
            self._answer(404, {"error": f"model '{name}' not found"})
        else:
            self.fake.deleted.append(name)
            self._answer(200, None)

    def do_POST(self) -> None:
        body = self._body()
        if self._refused():
            return
        if self.path.startswith("/api/blobs/"):
            self._blob(body)
            return
        if not body:
            self._answer(400, {"error": "missing request body"})
            return
        asked = json.loads(body)
        if self.path == "/api/create":
            self._create(asked)
        elif self.path == "/api/copy":
            if full(asked["source"]) not in self.fake.made:
                self._answer(404, {"error": f'model "{asked["source"]}" not found'})
            else:
                self.fake.made[full(asked["destination"])] = self.fake.made[full(asked["source"])]
                self._answer(200, None)
        elif full(asked.get("model", "")) not in self.fake.made:
            self._answer(404, {"error": f"model '{asked.get('model')}' not found"})
        elif self.path == "/api/show":
            self._answer(200, self.fake.show(full(asked["model"])))
        elif self.path == "/api/chat" and asked.get("_debug_render_only") and self.fake.renders:
            self._answer(200, {"_debug_info": {"rendered_template": self.fake.rendered(asked)}})
        elif self.path == "/api/chat":
            self.fake.chats.append(asked)
            if asked["stream"]:
                self._stream(self.fake.on_chat)
            else:
                self._answer(200, list(self.fake.on_chat)[-1])
        elif self.path == "/api/generate":
            self.fake.generated.append(asked)
            self._answer(200, self.fake.on_generate(asked))
        else:
            self._answer(404, None)

    def _blob(self, body: bytes) -> None:
        wanted, found = self.path.removeprefix("/api/blobs/"), f"sha256:{hashlib.sha256(body).hexdigest()}"
        if wanted != found:
            self._answer(400, {"error": f'digest mismatch, expected "{wanted}", got "{found}"'})
        else:
            known = wanted in self.fake.blobs
            self.fake.blobs[wanted] = body
            self._answer(200 if known else 201, None)

    def _create(self, asked: dict[str, Any]) -> None:
        fake = self.fake
        fake.created.append(asked)
        files = asked.get("files") or {}
        unknown = set(asked.get("parameters", {})) - _KNOWN
        if not _NAME.fullmatch(asked["model"]):
            self._answer(400, {"error": "invalid model name"})
        elif not files or any(name.startswith("/") or ".." in name for name in files):
            self._answer(400, {"error": "neither 'from' or 'files' was specified"})
        elif unknown:
            self._answer(400, {"error": f"unknown parameter '{min(unknown)}'"})
        elif not set(files.values()) <= set(fake.blobs):
            self._answer(400, {"error": "blob not found"})
        else:
            made = {key: value for key, value in asked.items() if key not in fake.ignores}
            made["blob"] = next(iter(files.values()))
            made.setdefault("template", STOCK["chatml"])
            if fake.on_create[-1:] == SUCCESS[-1:] and not fake.dies:
                fake.made[full(asked["model"])] = made
            self._stream(fake.on_create)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, status: int, value: Any) -> None:
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, lines: Iterable[dict[str, Any]]) -> None:
        """NDJSON under status 200, as Ollama streams: an error in the middle is a line like any other."""
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Connection", "close")
        if self.fake.dies:
            self.send_header("Content-Length", "100000")
        self.end_headers()
        for line in islice(lines, 2 if self.fake.dies else None):
            self.wfile.write(json.dumps(line).encode() + b"\n")
            self.wfile.flush()
        self.close_connection = True

    def handle(self) -> None:
        # A client that has lost its patience is gone before it is answered.
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[FakeOllama]:
    """A fake Ollama on a free port of the loopback interface."""
    fake = FakeOllama()
    handler = type("Handler", (_Handler,), {"fake": fake})
    with listening(handler) as fake.host:
        yield fake
