"""Rows to tokens: what must not be trained on is refused with the row and the reason, or left out; what cannot be
rendered is passed over by whoever measures."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from locum.errors import TrainingError
from locum.training.chat_template import Encoded, Renderer
from locum.types import Row


class EncodedRows(msgspec.Struct, frozen=True):
    """Rows that can be trained on, and why the others cannot."""

    encoded: list[Encoded]
    names: list[str]
    """How a message calls each of the encoded rows."""
    skipped: list[str]
    """One sentence for each row left out, with the row and the reason."""


def renderable(
    rows: Iterable[Row], renderer: Renderer, left_out: list[str] | None = None
) -> Iterator[tuple[Row, Encoded]]:
    """The rows that can be rendered, one by one, with their tokens; for whoever measures: a row that nobody can render
    measures nothing, and was refused in training or is told about by `left_out`.

    Args:
        rows: in the order in which they come back.
        renderer: of the base.
        left_out: takes one sentence for each row that cannot.
    """
    for row in rows:
        try:
            encoded = renderer.encode(row)
        except TrainingError as error:
            if left_out is not None:
                left_out.append(str(error))
            continue
        yield row, encoded


def encode_rows(rows: Sequence[Row], renderer: Renderer, limit: int, skip_bad: bool) -> EncodedRows:
    """Encode rows for training.

    Args:
        rows: in the order in which they come back.
        renderer: of the base.
        limit: tokens that the base can see.
        skip_bad: leave out what must not be trained on, instead of raising.

    Raises:
        TrainingError: a row must not be trained on: its response was cut off, is empty once rendered, cannot be
            rendered by the base's template, or does not fit into what the base can see.
    """
    found = EncodedRows([], [], [])
    for row in rows:
        try:
            encoded = _encode(row, renderer, limit)
        except TrainingError as error:
            reason = str(error) if row.id[:12] in str(error) else f"{_name(row)}: {error}"
            if not skip_bad:
                raise TrainingError(f"{reason}, or leave such rows out with --skip-bad") from None
            found.skipped.append(reason)
        else:
            found.encoded.append(encoded)
            found.names.append(_name(row))
    return found


def _name(row: Row) -> str:
    return f"row {row.id[:12]} (session {row.session}, turn {row.turn})"


def _encode(row: Row, renderer: Renderer, limit: int) -> Encoded:
    if "truncated" in row.response.signals:
        raise TrainingError(
            f"{_name(row)} has a response that was cut off at the agent's token limit: the model would learn to stop "
            "in the middle; leave the row out of the dataset"
        )
    tokens = renderer.encode(row)
    if len(tokens.tokens) > limit:
        raise TrainingError(
            f"{_name(row)} has {len(tokens.tokens)} tokens, more than the {limit} that the base can see; make the "
            "dataset with a smaller context"
        )
    return tokens
