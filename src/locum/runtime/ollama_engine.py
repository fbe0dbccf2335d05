"""One model in Ollama, asked with training's own prompts.

Ollama takes and tells text alone, so that the base's tokenizer stands between it and token ids.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from locum.errors import NotShownError
from locum.runtime.ollama import Ollama
from locum.runtime.protocol import Completion, Likely, Sampling
from locum.training.chat_template import Renderer
from locum.types import Message


class OllamaEngine:
    """A `TextEngine`.

    Args:
        server: where the model is.
        model: its name there.
        renderer: the base's, whose tokenizer is the model's.
    """

    name = "ollama"

    def __init__(self, server: Ollama, model: str, renderer: Renderer) -> None:
        self._server, self._model, self._renderer = server, model, renderer

    def complete(self, prompt: Sequence[int], sampling: Sampling) -> Completion:
        """See `TextEngine.complete`.

        Raises:
            NotShownError: these token ids are not those of any text.
            EngineError: Ollama does not answer.
        """
        return self._server.complete(self._model, self._text(prompt), sampling)[0]

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
