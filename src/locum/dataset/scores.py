"""The measured legibility of rows, beside the rows: `scores.jsonl` in the dataset folder.

A row's score is the number of nats that its own prompt saves on its response, compared with another row's prompt of
the same family, under the base (docs/dataset.md). `locum.training.row_scores` computes it; the report shows it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypedDict

import msgspec
import numpy as np

from locum import files
from locum.dataset.card import with_scores
from locum.dataset.store import read_stats
from locum.errors import DatasetError

SCORES = "scores.jsonl"


class RowScore(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `scores.jsonl`."""

    row: str
    """Id of the row."""
    family: str
    partner: str
    """Id of the row whose prompt took the place of its own."""
    own: float
    """Negative log-likelihood of the response after its own prompt, in nats, all its tokens together."""
    other: float
    """The same after the partner's prompt."""
    gain: float
    """other - own, in nats: above nought where the prompt helps to see why the response follows."""
    tokens: Annotated[int, msgspec.Meta(ge=1)]
    """Tokens of the response, its end of turn included."""

    @property
    def gain_per_token(self) -> float:
        """The gain in nats per token of the response."""
        return self.gain / self.tokens


class Spread(TypedDict):
    """How a group of scores lies, in nats per token."""

    rows: int
    helped: int
    """Rows whose own prompt helps: gain above nought."""
    low: float
    """Lower quartile."""
    median: float
    high: float
    """Upper quartile."""


def spread_of(scores: Sequence[RowScore]) -> Spread | None:
    """Median and quartiles of the gain per token; None where there is no score."""
    if not scores:
        return None
    low, median, high = np.quantile([score.gain_per_token for score in scores], [0.25, 0.5, 0.75])
    helped = sum(score.gain > 0 for score in scores)
    return Spread(rows=len(scores), helped=helped, low=float(low), median=float(median), high=float(high))


def by_family(scores: Sequence[RowScore]) -> dict[str, list[RowScore]]:
    """Family -> its scores, the largest family first; of equals in the order of their names."""
    families: dict[str, list[RowScore]] = {}
    for score in scores:
        families.setdefault(score.family, []).append(score)
    return dict(sorted(families.items(), key=lambda item: (-len(item[1]), item[0])))


def write_scores(dataset: Path, scores: Sequence[RowScore]) -> Path:
    """Write `scores.jsonl` into a dataset folder, atomically, in place of an earlier one; returns its path."""
    files.write_jsonl(dataset / SCORES, scores)
    return dataset / SCORES


def record_base(dataset: Path, scored: int, base: str) -> None:
    """Have `stats.json` and the card say what the scores were computed under: other bases give other scores.

    Args:
        dataset: the folder.
        scored: how many rows have a score.
        base: the base, as it was named.

    Raises:
        DatasetError: the folder is no dataset.
    """
    stats = msgspec.structs.replace(read_stats(dataset), scored=scored, scored_under=base)
    card = dataset / "README.md"
    if card.is_file():
        files.write_text(card, with_scores(card.read_text(encoding="utf-8"), stats))
    files.write_json(dataset / "stats.json", stats)


def read_scores(dataset: Path) -> list[RowScore]:
    """The scores of a dataset; none where none were computed.

    Raises:
        DatasetError: the file is damaged.
    """
    path = dataset / SCORES
    try:
        return files.read_jsonl(path, RowScore)
    except FileNotFoundError:
        return []
    except msgspec.MsgspecError:
        raise DatasetError(f"{path} holds no scores: remove it, or compute it again with --score") from None
