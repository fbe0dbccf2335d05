"""What every engine that answers can do."""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Protocol, Self

import msgspec

from locum.types import Message, ToolCall


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer is drawn; the default is greedy and repeatable."""

    max_tokens: int = 256
    temperature: float = 0.0
    seed: int = 1


class Completion(msgspec.Struct, frozen=True):
    """What an engine wrote after a prompt."""

    text: str
    finish: str
    """`stop`: the agent's turn ended; `length`: the token limit ended it."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Of the prompt's tokens, those the engine still held from the prompt before."""


Complete = Callable[[Sequence[int], Sampling], Completion]
"""An engine's `complete`."""


class Asked(msgspec.Struct, frozen=True):
    """A prompt of token ids, and each of the ways in which it is to be continued."""

    prompt: Sequence[int]
    samplings: tuple[Sampling, ...] = (Sampling(),)


class Candidate(msgspec.Struct, frozen=True):
    """A possible next token."""

    token: int
    logprob: float
    """Natural logarithm."""


class Likely(msgspec.Struct, frozen=True):
    """A possible next token of an engine that tells tokens as text."""

    text: str
    logprob: float
    """Natural logarithm."""


class Answer(msgspec.Struct, frozen=True):
    """What an engine's own API makes of an answer to a conversation."""

    text: str
    tool_calls: tuple[ToolCall, ...]
    finish: str
    """`stop`, `length` or `tool_calls`."""
    prompt_tokens: int | None
    """By the engine's own count; None where it does not say."""


class Engine(Protocol):
    """A model that is loaded and answers; closes with `close` or at the end of a `with` block."""

    name: str

    def render(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()) -> str:
        """The prompt text that the engine itself makes of a conversation."""
        ...

    def tokenize(self, text: str) -> list[int]:
        """Token ids of rendered text, special tokens recognised, none added."""
        ...

    def complete(self, prompt: Sequence[int], sampling: Sampling) -> Completion:
        """Continue a prompt of token ids until the agent's turn ends."""
        ...

    def complete_all(self, asked: Sequence[Asked]) -> Generator[list[Completion], None, None]:
        """Continue many prompts, as many at once as the engine was made for (see `at_once.complete_each`)."""
        ...

    def next_tokens(self, prompt: Sequence[int], count: int) -> list[Candidate]:
        """The `count` likeliest next tokens after a prompt, likeliest first."""
        ...

    def chat(
        self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[dict[str, Any]] = ()
    ) -> Iterator[str]:
        """Answer a conversation, piece by piece."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


class TextEngine(Protocol):
    """A model that another program serves, whose API tells tokens as text and renders conversations unseen."""

    name: str

    def complete(self, prompt: Sequence[int], sampling: Sampling) -> Completion:
        """Continue a prompt of token ids until the agent's turn ends."""
        ...

    def complete_all(self, asked: Sequence[Asked]) -> Generator[list[Completion], None, None]:
        """Continue many prompts, as many at once as the engine was made for (see `at_once.complete_each`)."""
        ...

    def next_tokens(self, prompt: Sequence[int], count: int) -> list[Likely]:
        """The `count` likeliest next tokens after a prompt, likeliest first.

        Raises:
            NotShownError: the API does not tell.
        """
        ...

    def chat(
        self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[dict[str, Any]] = ()
    ) -> Iterator[str]:
        """Answer a conversation, piece by piece."""
        ...
