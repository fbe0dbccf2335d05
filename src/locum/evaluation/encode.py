"""Rows as tokens, for whoever scores them."""

from collections.abc import Sequence

from locum.errors import TrainingError
from locum.training.chat_template import Encoded, Renderer
from locum.types import Row


def encode(rows: Sequence[Row], renderer: Renderer) -> tuple[dict[str, Encoded], list[str]]:
    """Row id -> its tokens, and why some rows have none: a row that nobody can render measures nothing."""
    encoded: dict[str, Encoded] = {}
    left_out: list[str] = []
    for row in rows:
        try:
            encoded[row.id] = renderer.encode(row)
        except TrainingError as error:
            left_out.append(str(error))
    return encoded, left_out
