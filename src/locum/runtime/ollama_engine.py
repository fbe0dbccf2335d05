"""One model in Ollama, asked with training's own prompts.

Ollama takes and tells text alone, so that the base's tokenizer stands between it and token ids.
"""

from collections.abc import Generator, Iterator, Sequence
from typing import Any

from locum.errors import NotShownError
from locum.runtime.at_once import complete_each
from locum.runtime.ollama import Ollama
from locum.runtime.protocol import Asked, Completion, Likely, Sampling
from locum.training.chat_template import Renderer
from locum.types import Message


class OllamaEngine:
    """A `TextEngine`.

    Args:
        server: where the model is.
        model: its name there.
        renderer: the base's, whose tokenizer is the model's.
        at_once: how many requests `complete_all` has under way; Ollama itself takes as many as OLLAMA_NUM_PARALLEL says
            there and lets the others wait.
    """

    name = "ollama"

    def __init__(self, server: Ollama, model: str, renderer: Renderer, at_once: int = 1) -> None:
        self._server, self._model, self._renderer = server, model, renderer
        self._at_once = at_once

    def complete(self, prompt: Sequence[int], sampling: Sampling) -> Completion:
        """See `TextEngine.complete`.

        Raises:
            NotShownError: these token ids are not those of any text.
            EngineError: Ollama does not answer.
        """
        return self._server.complete(self._model, self._text(prompt), sampling)[0]

    def complete_all(self, asked: Sequence[Asked]) -> Generator[list[Completion], None, None]:
        """See `TextEngine.complete_all`; raises as `complete`."""
        return complete_each(self.complete, asked, self._at_once)

    def next_tokens(self, prompt: Sequence[int], count: int) -> list[Likely]:
        """See `TextEngine.next_tokens`.

        Raises:
            NotShownError: this version of Ollama gives no log-probabilities.
            EngineError: Ollama does not answer.
        """
        _, likely = self._server.complete(self._model, self._text(prompt), Sampling(max_tokens=1), count)
        if not likely:
            raise NotShownError(f"the Ollama at {self._server.host} gives no log-probabilities (0.12.11 and later do)")
        return likely

    def chat(
        self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[dict[str, Any]] = ()
    ) -> Iterator[str]:
        """See `TextEngine.chat`."""
        return self._server.chat(self._model, messages, sampling, tools)

    def _text(self, prompt: Sequence[int]) -> str:
        text = str(self._renderer.tokenizer.decode(list(prompt)))
        if self._renderer.tokens(text) != list(prompt):
            raise NotShownError("Ollama takes prompts as text, and these tokens are not those of any text")
        return text
