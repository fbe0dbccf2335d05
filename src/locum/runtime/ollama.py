"""Ollama, through its own Python client: is one there, put a model in, take one out, talk to it.

API: https://docs.ollama.com/api. What of it surprises, and since which version, stands in docs/ollama.md.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import ollama

from locum.errors import EngineError
from locum.progress import Progress, silent
from locum.runtime.protocol import Completion, Likely, Sampling
from locum.runtime.replies import LONGEST, bounded
from locum.types import Message

OLDEST = (0, 5, 5)
"""The first version whose `create` takes files, template and parameters as fields."""
PARTIAL_TAG = "locum-partial"
"""The tag under which a model stands until it is known to be whole."""
_FAILURES = (httpx.HTTPError, ollama.ResponseError, ConnectionError, ValueError)
"""All that the client raises: no connection, a status, an error line in a stream, a line that is no JSON."""


class Ollama:
    """The Ollama at `host`, or at $OLLAMA_HOST, or at its default address.

    Args:
        host: address and port, as $OLLAMA_HOST has them.
        patience: seconds that it may be silent; loading a model on a slow disk takes long.
        longest: seconds that one reply may take, however it goes on; making a model is not held to it.
    """

    def __init__(self, host: str | None = None, patience: float = 600, longest: float = LONGEST) -> None:
        self.host = host or os.environ.get("OLLAMA_HOST") or "http://127.0.0.1:11434"
        self._client = ollama.Client(host=self.host, timeout=patience, **bounded(longest))
        # It tells its states for as long as it takes to write the file anew, hours for a large one.
        self._maker = ollama.Client(host=self.host, timeout=patience, **bounded())
        # The package's client knows neither /api/version nor _debug_render_only; where it points, it knows best.
        self._http = httpx.Client(base_url=self._client._client.base_url, timeout=patience, **bounded(longest))

    def answers(self) -> bool:
        """Whether an Ollama answers there within a second."""
        try:
            probe = ollama.Client(host=self.host, timeout=1, **bounded(1))
            probe.list()
        except _FAILURES:
            return False
        return True

    def version(self) -> str | None:
        """Its version; None where it does not say."""
        try:
            answer = self._http.get("/api/version")
            return str(answer.raise_for_status().json()["version"])
        except (*_FAILURES, KeyError, TypeError):
            return None

    def names(self) -> list[str]:
        """The names of its models, each with its tag.

        Raises:
            EngineError: Ollama does not answer.
        """
        try:
            return sorted(model.model for model in self._client.list().models if model.model)
        except _FAILURES as error:
            raise EngineError(f"Ollama at {self.host} does not list its models: {error}") from None

    def has(self, name: str) -> bool:
        """Whether it has a model of this name (tag `latest`)."""
        return any(model in (name, f"{name}:latest") for model in self.names())

    def holds(self, name: str, sha256: str) -> bool:
        """Whether `name` was made from the model file with this checksum, as far as can be told.

        Newer versions write the file anew and so lose its checksum; there the answer is no.
        """
        try:
            return f"sha256-{sha256}" in (self._client.show(name).modelfile or "")
        except _FAILURES:
            return False

    def create(
        self,
        name: str,
        model: Path,
        *,
        template: str,
        system: str,
        stop: Sequence[str],
        parameters: Mapping[str, float],
        licence: str,
        quantize: str | None = None,
        check: Callable[[str], None] = lambda name: None,
        progress: Progress = silent,
    ) -> None:
        """Upload a model file and make the model `name` of it, with everything explicit that Ollama would else guess.

        It is made under the tag `locum-partial`, looked at and asked a question there, and copied to its name only
        then: whatever goes wrong, `name` is what it was before.

        Args:
            name: without a tag.
            model: the `.gguf` file.
            template: a Go template.
            system: the system text where a conversation brings none.
            stop: the texts that end an answer.
            parameters: the other parameters.
            licence: name or text.
            quantize: a type that Ollama itself shall bring an F32, F16 or BF16 file to (Q8_0, Q4_K_M, Q4_K_S).
            check: called with the name for the time being; what it raises keeps the model from its name.
            progress: told about every state.

        Raises:
            EngineError: Ollama is too old, refuses, dies halfway, does not end its stream of states in success, or
                has made something else than it was told.
        """
        version = self.version()
        if version is not None and _number(version) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise EngineError(f"the Ollama at {self.host} is {version}; it takes at least {oldest}: update it")
        partial = f"{name}:{PARTIAL_TAG}"
        wanted = {**parameters, "stop": list(stop)}
        work = "deploy in Ollama"
        progress(work, 0, 3, model.name)
        last = ""
        try:
            digest = self._maker.create_blob(model)
            progress(work, 1, 3, "uploaded")
            for state in self._maker.create(
                model=partial,
                files={model.name: digest},
                template=template,
                system=system or None,
                license=licence or None,
                parameters=wanted,
                quantize=quantize,
                stream=True,
            ):
                last = state.status or last
                share = f" {state.completed / state.total:.0%}" if state.completed and state.total else ""
                progress(work, 1, 3, last + share)
            if last != "success":
                raise EngineError(f"Ollama at {self.host} stopped at {last!r} while creating {name!r}; try again")
            self._verify(partial, template, system, wanted, quantize)
            progress(work, 2, 3, "asking")
            if not self._ends(partial):
                raise EngineError(f"Ollama at {self.host} began to answer as {name!r} and did not end; try again")
            check(partial)
            self._client.copy(partial, name)
        except _FAILURES as error:
            raise EngineError(f"Ollama at {self.host} did not take the model {name!r}: {error}") from None
        finally:
            self._discard(partial)
        progress(work, 3, 3)

    def _verify(
        self, name: str, template: str, system: str, parameters: Mapping[str, Any], quantize: str | None
    ) -> None:
        """Hold what Ollama says it has against what it was told; the file's checksum says nothing, it may be rewritten.

        Raises:
            EngineError: something is missing or different.
        """
        shown = self._client.show(name)
        lines = {" ".join(line.split()) for line in (shown.parameters or "").splitlines()}
        missing = [
            f"{key} {value}"
            for key, values in parameters.items()
            for value in (values if isinstance(values, list) else [values])
            if not lines
            & {f"{key} {form}" for form in (value, f"{value:g}" if isinstance(value, float) else f'"{value}"')}
        ]
        if shown.template != template:
            missing.append("the template")
        if system and system not in (shown.modelfile or ""):
            missing.append("the system text")
        if missing:
            raise EngineError(
                f"Ollama at {self.host} made a model without {missing[0]} that it was given; update it and try again"
            )
        made = shown.details.quantization_level if shown.details else None
        if quantize and made != quantize:
            raise EngineError(
                f"Ollama at {self.host} was to make {quantize} of the file and says that it is {made}; leave "
                "--quantize out, or update it and try again"
            )

    def _ends(self, name: str) -> bool:
        """Whether the model answers a short question to the end; it is unloaded again right after."""
        question = [{"role": "user", "content": "Hello"}]
        options = {"temperature": 0.0, "num_predict": 8, "seed": 1}
        parts = self._client.chat(model=name, messages=question, options=options, stream=True, keep_alive=0)
        return [part.done for part in parts][-1:] == [True]

    def _discard(self, name: str) -> None:
        """Remove a model that may be there; one that cannot be removed does no harm under its name."""
        try:
            self._client.delete(name)
        except _FAILURES:
            return

    def remove(self, name: str) -> None:
        """Remove a model.

        Raises:
            EngineError: there is none of this name, or Ollama does not answer.
        """
        try:
            self._client.delete(name)
        except _FAILURES as error:
            raise EngineError(f"Ollama at {self.host} did not remove {name!r}: {error}") from None

    def render(self, name: str, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()) -> str | None:
        """The prompt text that Ollama makes of a conversation; None where this version does not tell.

        Raises:
            EngineError: there is no such model, or Ollama does not answer.
        """
        body = {
            "model": name,
            "messages": [_message_for_ollama(message) for message in messages],
            "tools": list(tools),
            "stream": False,
            "_debug_render_only": True,
            # A version that does not know the field above generates an answer instead: a short one.
            "options": {"num_predict": 1},
        }
        try:
            answer = self._http.post("/api/chat", json=body)
            if answer.status_code != 200:
                raise EngineError(f"Ollama at {self.host} does not render for {name!r}: {answer.text[:200]}")
            text = answer.json().get("_debug_info", {}).get("rendered_template")
        except _FAILURES as error:
            raise EngineError(f"Ollama at {self.host} does not render for {name!r}: {error}") from None
        return None if text is None else str(text)

    def chat(
        self, name: str, messages: Sequence[Message], sampling: Sampling, tools: Sequence[dict[str, Any]] = ()
    ) -> Iterator[str]:
        """Answer a conversation with the model `name`, piece by piece.

        Raises:
            EngineError: there is no such model, or Ollama does not answer to the end.
        """
        wire = [_message_for_ollama(message) for message in messages]
        options, done = _options(sampling), False
        try:
            for part in self._client.chat(model=name, messages=wire, tools=list(tools), options=options, stream=True):
                done = bool(part.done)
                yield part.message.content or ""
        except _FAILURES as error:
            raise EngineError(f"Ollama at {self.host} does not answer as {name!r}: {error}") from None
        if not done:
            raise EngineError(f"Ollama at {self.host} broke off while it answered as {name!r}; try again")

    def complete(
        self, name: str, prompt: str, sampling: Sampling, likeliest: int = 0
    ) -> tuple[Completion, list[Likely]]:
        """Continue a rendered prompt with the model `name`, no template between (`raw`).

        Args:
            name: the model.
            prompt: text, as training rendered it.
            sampling: how it goes on.
            likeliest: how many candidates for the first token to tell; none come from a version before 0.12.11.

        Raises:
            EngineError: there is no such model, or Ollama does not answer to the end.
        """
        more: dict[str, Any] = {"logprobs": True, "top_logprobs": likeliest} if likeliest else {}
        try:
            answer = self._client.generate(model=name, prompt=prompt, raw=True, options=_options(sampling), **more)
        except _FAILURES as error:
            raise EngineError(f"Ollama at {self.host} does not answer as {name!r}: {error}") from None
        if not answer.done:
            raise EngineError(f"Ollama at {self.host} broke off while it answered as {name!r}; try again")
        first = answer.logprobs[0].top_logprobs if answer.logprobs else None
        return (
            Completion(
                text=answer.response,
                finish="length" if answer.done_reason == "length" else "stop",
                prompt_tokens=answer.prompt_eval_count or 0,
            ),
            sorted((Likely(one.token, one.logprob) for one in first or ()), key=lambda one: -one.logprob),
        )


def _options(sampling: Sampling) -> dict[str, Any]:
    return {"temperature": sampling.temperature, "num_predict": sampling.max_tokens, "seed": sampling.seed}


def _number(version: str) -> tuple[int, ...]:
    """A version as numbers; one that is no number (a build from source says 0.0.0) counts as new."""
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    parts = tuple(map(int, found.groups())) if found else (0, 0, 0)
    return parts if any(parts) else (10**6,)


def same_but_for_json(one: str, other: str) -> bool:
    """Whether two texts differ in nothing but how the JSON in them is spelled: spaces, order of keys, escapes.

    Ollama writes tools and arguments without spaces, keys in an order of its own and `<` as an escape; no template can
    have it otherwise.
    """
    return _with_plain_json(one) == _with_plain_json(other)


def _with_plain_json(text: str) -> str:
    decoder = json.JSONDecoder()
    parts: list[str] = []
    while (start := text.find("{")) >= 0:
        parts.append(text[:start])
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            parts.append("{")
            text = text[start + 1 :]
        else:
            parts.append(json.dumps(value, sort_keys=True))
            text = text[end:]
    return "".join([*parts, text])


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
