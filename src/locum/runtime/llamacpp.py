"""The embedded engine: llama.cpp inside this process, through `xllamacpp`.

xllamacpp starts llama.cpp's own HTTP server on a free port of the loopback interface and this engine is its client,
so what is certified here is what any program gets that asks the server.
Server API: https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
"""

import json
import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Self
from weakref import WeakSet

import httpx

from locum.errors import EngineError
from locum.runtime.at_once import complete_each
from locum.runtime.memory import require_memory
from locum.runtime.protocol import Asked, Candidate, Completion, Sampling
from locum.training.chat_template import message_to_wire
from locum.types import Message, ToolCall

_CERTAIN = 1e3
"""Added to a token's logit: nothing else can come next."""


def message_for_server(message: Message) -> dict[str, Any]:
    """A message in the shape of OpenAI's API, where tool arguments are a JSON string."""
    wire = message_to_wire(message)
    for call in wire.get("tool_calls", ()):
        call["function"]["arguments"] = json.dumps(call["function"]["arguments"], ensure_ascii=False)
    return wire


class LlamaCpp:
    """A model file served by llama.cpp in this process.

    Args:
        model: the `.gguf` file.
        context: tokens that prompt and answer may take together.
        adapter: a LoRA file to add to it.
        at_once: how many prompts `complete_all` continues at once, each with a context of its own. Above 1 a greedy
            answer may be another than it is alone, and now and then another the next time: what a prompt is computed
            together with decides in which order its sums are added.

    Raises:
        EngineError: the file does not load, does not fit into memory beside those that other engines of this process
            have open, or xllamacpp is not installed.
    """

    name = "llama.cpp"

    def __init__(self, model: Path, context: int = 4096, adapter: Path | None = None, at_once: int = 1) -> None:
        try:
            import xllamacpp
        except ImportError:
            raise EngineError("the embedded engine needs the package xllamacpp: pip install 'locum[train]'") from None
        if not model.is_file():
            raise EngineError(f"there is no model file {str(model)!r}; export the run again")
        self._file, self._bytes = model.resolve(), model.stat().st_size
        # Engines of one file share its pages.
        others = {engine._file: engine._bytes for engine in _OPEN if engine._file != self._file}
        require_memory(model, context, sum(others.values()), at_once)
        self._at_once = at_once
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(model)
        parameters.n_ctx = context * at_once  # dealt out evenly
        if adapter is not None:
            parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
        # A request goes to the free slot whose last prompt is likest, finds that one in its cache and computes only
        # what differs; with one slot that is the prompt before.
        parameters.n_parallel = at_once
        if at_once > 1:
            # Its sums run in another order for one token than for several; without it, and in Q8_0, an answer is nearly
            # always the one that it is alone (docs/export.md).
            parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        parameters.cpuparams.n_threads = os.cpu_count() or 1
        parameters.cpuparams_batch.n_threads = os.cpu_count() or 1
        parameters.use_jinja = True
        parameters.port = 0
        parameters.verbosity = -1
        parameters.warmup = False
        try:
            self._server: Any = xllamacpp.Server(parameters)
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"llama.cpp does not load {str(model)!r}: {error}; export the run again") from None
        self._client = httpx.Client(
            base_url=self._server.listening_address, timeout=httpx.Timeout(None), trust_env=False
        )
        _OPEN.add(self)

    @property
    def address(self) -> str:
        """Where its server listens, for programs on this computer."""
        return str(self._server.listening_address)

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self._client.post(path, json=body)
        if answer.status_code != 200:
            raise EngineError(f"llama.cpp answered {answer.status_code} to {path}: {_reason(answer)}")
        return answer.json()

    def render(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()) -> str:
        """See `Engine.render`; the server's own Jinja engine does it (`/apply-template`)."""
        body: dict[str, Any] = {"messages": [message_for_server(message) for message in messages]}
        if tools:
            body["tools"] = list(tools)
        return str(self._post("/apply-template", body)["prompt"])

    def tokenize(self, text: str) -> list[int]:
        """See `Engine.tokenize`."""
        tokens: list[int] = self._post("/tokenize", {"content": text, "add_special": False})["tokens"]
        return tokens

    def complete(self, prompt: Sequence[int], sampling: Sampling) -> Completion:
        """See `Engine.complete`."""
        answer = self._post(
            "/completion",
            {
                "prompt": list(prompt),
                "n_predict": sampling.max_tokens,
                "temperature": sampling.temperature,
                "seed": sampling.seed,
                "repeat_penalty": 1.0,
                "cache_prompt": True,
            },
        )
        return Completion(
            text=str(answer["content"]),
            finish="length" if answer.get("stop_type") == "limit" else "stop",
            prompt_tokens=len(prompt),
            cached_tokens=int(answer.get("timings", {}).get("cache_n", 0)),
        )

    def complete_all(self, asked: Sequence[Asked]) -> Generator[list[Completion], None, None]:
        """See `Engine.complete_all`."""
        return complete_each(self.complete, asked, self._at_once)

    def next_tokens(self, prompt: Sequence[int], count: int) -> list[Candidate]:
        """See `Engine.next_tokens`."""
        body = {
            "prompt": list(prompt),
            "n_predict": 1,
            "n_probs": count,
            "temperature": 0.0,
            "cache_prompt": True,
            # The server withholds the probabilities where the token it draws is part of a character only, so it is
            # made to draw a letter; what it reports are the probabilities before any bias.
            "logit_bias": [[self.tokenize("a")[-1], _CERTAIN]],
        }
        answer = self._post("/completion", body)
        likeliest = answer["completion_probabilities"][0]["top_logprobs"]
        return [Candidate(token=int(entry["id"]), logprob=float(entry["logprob"])) for entry in likeliest]

    def write_end(self, prompt: Sequence[int], end: int) -> tuple[str, bool]:
        """What is written after a prompt whose likeliest next token is made to be `end`, and whether it stopped."""
        body = {"prompt": list(prompt), "n_predict": 4, "temperature": 0.0, "logit_bias": [[end, _CERTAIN]]}
        answer = self._post("/completion", body)
        return str(answer["content"]), answer.get("stop_type") == "eos"

    def read_answer(
        self, messages: Sequence[Message], written: str, tools: Sequence[dict[str, Any]], end: int
    ) -> tuple[str, tuple[ToolCall, ...]]:
        """What `/v1/chat/completions` makes of an answer that the model wrote: its text and its calls.

        The answer stands at the end of the request, as one that is to be gone on with, and the model is made to end it.
        """
        body = {
            "messages": [*map(message_for_server, messages), {"role": "assistant", "content": written}],
            "tools": list(tools),
            "max_tokens": 4,
            "temperature": 0.0,
            "logit_bias": [[end, _CERTAIN]],
        }
        found = self._post("/v1/chat/completions", body)["choices"][0]["message"]
        return str(found.get("content") or ""), tuple(call_of(call) for call in found.get("tool_calls") or ())

    def chat(
        self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[dict[str, Any]] = ()
    ) -> Iterator[str]:
        """See `Engine.chat`."""
        prompt = self.tokenize(self.render(messages, tools))
        body = {
            "prompt": prompt,
            "n_predict": sampling.max_tokens,
            "temperature": sampling.temperature,
            "seed": sampling.seed,
            "cache_prompt": True,
            "stream": True,
        }
        # The server closes a connection on which it has streamed, so it is not to be used again.
        with self._client.stream("POST", "/completion", json=body, headers={"Connection": "close"}) as answer:
            if answer.status_code != 200:
                answer.read()
                raise EngineError(f"llama.cpp answered {answer.status_code}: {_reason(answer)}")
            for line in answer.iter_lines():
                if line.startswith("data: ") and line != "data: [DONE]":
                    yield str(json.loads(line.removeprefix("data: ")).get("content", ""))

    def close(self) -> None:
        """See `Engine.close`."""
        _OPEN.discard(self)
        self._client.close()
        self._server = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


_OPEN: WeakSet[LlamaCpp] = WeakSet()
"""The engines of this process that have a file mapped."""


def call_of(call: dict[str, Any]) -> ToolCall:
    """A call as OpenAI's API gives it; one whose arguments are no object has none."""
    try:
        arguments = json.loads(call["function"]["arguments"])
    except ValueError:
        arguments = None
    return ToolCall(
        id=str(call.get("id") or ""),
        name=str(call["function"]["name"]),
        arguments=arguments if isinstance(arguments, dict) else {},
    )


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]
