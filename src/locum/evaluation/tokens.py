"""A row's response as text and as tokens with their places in it: what every class of tokens is decided on."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import msgspec

from locum.training.chat_template import Encoded, Renderer
from locum.types import Row


class Response(msgspec.Struct, frozen=True):
    """A response as the chat template writes it, tool calls as JSON and the end of the turn included."""

    prompt: str
    """The rendered prompt: everything that the model is shown, tool schemas included."""
    text: str
    tokens: list[int]
    spans: list[tuple[int, int]]
    """Characters of each token in `text`. Several tokens of one character have the same span."""
    special: list[bool]
    """Whether a token is one that the template alone writes (end of turn)."""


def response_of(row: Row, encoded: Encoded, renderer: Renderer) -> Response:
    """The response of an encoded row, with the places of its tokens.

    Args:
        row: a row.
        encoded: its tokens, as `renderer.encode` gives them.
        renderer: the base's.
    """
    prompt = renderer.prompt_text(row.prompt, row.tools)
    text = renderer.text(row.messages, row.tools)[len(prompt) :]
    tokens, spans = tokenize(text, renderer)
    count = len(encoded.tokens) - encoded.response_start
    special = set(renderer.tokenizer.all_special_ids)
    return Response(
        prompt=prompt,
        text=text[: spans[count - 1][1]],
        tokens=tokens[:count],
        spans=spans[:count],
        special=[token in special for token in tokens[:count]],
    )


def tokenize(text: str, renderer: Renderer) -> tuple[list[int], list[tuple[int, int]]]:
    """Token ids of rendered text, and the characters that each stands for."""
    found = renderer.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    tokens: list[int] = found["input_ids"]
    spans: list[tuple[int, int]] = [(int(start), int(end)) for start, end in found["offset_mapping"]]
    return tokens, spans


def pieces(response: Response) -> list[str]:
    """What each token adds to the text: one after the other they are all of it."""
    ends = [0, *accumulate((end for _, end in response.spans), max)]
    return [response.text[start:end] for start, end in pairwise(ends)]


def tokens_within(spans: Sequence[tuple[int, int]], start: int, end: int) -> list[int]:
    """Positions of the tokens that hold a character of [start, end)."""
    return [at for at, (first, last) in enumerate(spans) if first < end and last > start]
