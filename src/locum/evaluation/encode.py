"""Rows as tokens, for whoever scores them."""

from collections.abc import Sequence

from locum.training.chat_template import Encoded, Renderer
from locum.training.rows import renderable
from locum.types import Row


def encode(rows: Sequence[Row], renderer: Renderer) -> tuple[dict[str, Encoded], list[str]]:
    """Row id -> its tokens, and why some rows have none: a row that nobody can render measures nothing."""
    left_out: list[str] = []
    encoded = {row.id: tokens for row, tokens in renderable(rows, renderer, left_out)}
    return encoded, left_out
