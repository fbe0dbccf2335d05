"""What training did to every token of the agent's answer, base's loss less tuned's, as tints and in words."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import polars as pl

from locum.evaluation.nll import CONTEXT_OWN
from locum.report import figures

Tint = Literal["", "easier", "much-easier", "harder", "much-harder"]

CHANGED = 0.5
"""Nats from which a token is tinted: its probability changed by a factor of 1.6."""
MUCH = 2.0
"""Nats from which the tint is strong: a factor of 7.4."""
_NAMED = 3
"""Tokens that the sentence names on either side."""
_ARMS = ("base", "tuned")
_COLUMNS = ("row", "arm", "context", "position", "text", "class", "loss")


class Token(msgspec.Struct, frozen=True):
    """A piece of the agent's answer."""

    text: str
    gain: float
    """Nats that training took off it; negative where it became harder."""

    @property
    def tint(self) -> Tint:
        """How strongly, and which way, it is coloured."""
        if abs(self.gain) < CHANGED:
            return ""
        if self.gain > 0:
            return "much-easier" if self.gain >= MUCH else "easier"
        return "much-harder" if self.gain <= -MUCH else "harder"


Answers = Mapping[str, tuple[Token, ...]]
"""Row -> its tokens, in order; joined they are the answer as the chat template writes it, without its end of turn."""


def read_tokens(path: Path, rows: Collection[str]) -> Answers:
    """The tokens of these rows' answers out of `evaluation/nll.parquet`.

    The end of turn is the template's and no word of the answer. Rows that were not scored under both models are left
    out; all of them, where the table of an earlier version holds no texts.

    Raises:
        FileNotFoundError: there is no such file.
        polars.exceptions.PolarsError: it is no such table.
    """
    lines = pl.scan_parquet(path)
    if "text" not in lines.collect_schema().names():
        return {}
    own = (
        lines.select(_COLUMNS)
        .filter(pl.col("context") == CONTEXT_OWN, pl.col("row").is_in(list(rows)), pl.col("text").is_not_null())
        .collect()
    )
    base, tuned = (own.filter(pl.col("arm") == arm).select("row", "position", "text", "class", "loss") for arm in _ARMS)
    found: dict[str, list[Token]] = defaultdict(list)
    joined = base.join(tuned, on=("row", "position"), suffix="_tuned").sort("row", "position")
    last: dict[str, str | None] = {}
    for row, text, class_, before, after in joined.select("row", "text", "class", "loss", "loss_tuned").iter_rows():
        tokens, gain = found[row], before - after
        if not text and tokens:  # a later token of one character: the character is worth all of them
            gain, text = tokens[-1].gain + gain, tokens.pop().text
        tokens.append(Token(text, gain))
        last[row] = class_
    return {row: tuple(tokens[:-1] if last[row] == "template" else tokens) for row, tokens in found.items()}


def spans(tokens: Sequence[Token]) -> list[tuple[int, int, str]]:
    """(start, end, tint) of every tinted token, in characters of the answer."""
    found: list[tuple[int, int, str]] = []
    here = 0
    for token in tokens:
        if token.tint:
            found.append((here, here + len(token.text), token.tint))
        here += len(token.text)
    return found


def sentence(tokens: Sequence[Token]) -> str:
    """The tints in words."""
    easier = [token for token in tokens if token.gain >= CHANGED]
    harder = [token for token in tokens if token.gain <= -CHANGED]
    mean = sum(token.gain for token in tokens) / len(tokens)
    said = (
        f"Training took {figures.number(mean, 2)} nats per token off this answer: of "
        f"{figures.count(len(tokens), 'token')} {len(easier):,} became easier and {len(harder):,} harder."
    )
    if easier:
        said += f" Easier above all: {_named(sorted(easier, key=lambda token: -token.gain))}."
    if harder:
        said += f" Harder: {_named(sorted(harder, key=lambda token: token.gain))}."
    return said


def _named(tokens: Sequence[Token]) -> str:
    return figures.listing(
        [
            f"“{' '.join(token.text.split())}” ({figures.number(token.gain, 1, signed=True)})"
            for token in tokens[:_NAMED]
        ]
    )
