"""Ollama, through its own Python client: is one there, put a model in, talk to it.

API: https://docs.ollama.com/api
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import ollama

from locum.errors import EngineError
from locum.progress import Progress, silent
from locum.runtime.protocol import Sampling
from locum.types import Message


class Ollama:
    """The Ollama at `host`, or at $OLLAMA_HOST, or at its default address."""

    def __init__(self, host: str | None = None) -> None:
        self.host = host or os.environ.get("OLLAMA_HOST") or "http://127.0.0.1:11434"
        self._client = ollama.Client(host=self.host, timeout=600)

    def answers(self) -> bool:
        """Whether an Ollama answers there within a second."""
        try:
            probe = ollama.Client(host=self.host, timeout=1)
            probe.list()
        except (httpx.HTTPError, ollama.ResponseError, ConnectionError, ValueError):
            return False
        return True

    def has(self, name: str) -> bool:
        """Whether it has a model of this name (tag `latest`)."""
        return any(model.model in (name, f"{name}:latest") for model in self._client.list().models)

    def holds(self, name: str, sha256: str) -> bool:
        """Whether `name` was made from the model file with this checksum."""
        try:
            return f"sha256-{sha256}" in (self._client.show(name).modelfile or "")
        except (httpx.HTTPError, ollama.ResponseError, ConnectionError):
            return False

    def create(
        self,
        name: str,
        model: Path,
        *,
        template: str,
        system: str,
        stop: Sequence[str],
        parameters: dict[str, float],
        licence: str,
        progress: Progress = silent,
    ) -> None:
        """Upload a model file and create `name` from it, with everything explicit that Ollama would else guess.

        Raises:
            EngineError: Ollama refuses, or its stream of states does not end in success.
        """
        progress("upload to Ollama", 0, 1, model.name)
        last = ""
        try:
            digest = self._client.create_blob(model)
            for state in self._client.create(
                model=name,
                files={model.name: digest},
                template=template,
                system=system or None,
                license=licence or None,
                parameters={**parameters, "stop": list(stop)},
                stream=True,
            ):
                last = state.status or last
                progress("upload to Ollama", 0, 1, last)
        except (httpx.HTTPError, ollama.ResponseError, ConnectionError) as error:
            raise EngineError(f"Ollama at {self.host} did not take the model {name!r}: {error}") from None
        if last != "success":
            raise EngineError(f"Ollama at {self.host} stopped at {last!r} while creating {name!r}; try again")
        progress("upload to Ollama", 1, 1)

    def chat(
        self, name: str, messages: Sequence[Message], sampling: Sampling, tools: Sequence[dict[str, Any]] = ()
    ) -> Iterator[str]:
        """Answer a conversation with the model `name`, piece by piece.

        Raises:
            EngineError: there is no such model, or Ollama does not answer.
        """
        wire = [_message_for_ollama(message) for message in messages]
        options = {"temperature": sampling.temperature, "num_predict": sampling.max_tokens, "seed": sampling.seed}
        try:
            for part in self._client.chat(model=name, messages=wire, tools=list(tools), options=options, stream=True):
                yield part.message.content or ""
        except (httpx.HTTPError, ollama.ResponseError, ConnectionError) as error:
            raise EngineError(f"Ollama at {self.host} does not answer as {name!r}: {error}") from None


def _message_for_ollama(message: Message) -> dict[str, Any]:
    """A message in the shape of Ollama's API, where tool arguments are an object."""
    wire: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        wire["tool_calls"] = [
            {"function": {"name": call.name, "arguments": call.arguments}} for call in message.tool_calls
        ]
    if message.tool_name is not None:
        wire["tool_name"] = message.tool_name
    return wire
