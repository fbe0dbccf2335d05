"""The file of scores, and how they lie."""

from pathlib import Path

import pytest

from locum.dataset.scores import SCORES, RowScore, by_family, read_scores, spread_of, write_scores
from locum.errors import DatasetError


def score(gain: float, tokens: int = 1, family: str = "reply") -> RowScore:
    return RowScore(row="r", family=family, partner="p", own=1.0, other=1.0 + gain, gain=gain, tokens=tokens)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_scores(tmp_path) == []
    scores = [score(1.5, 3), score(-0.25, 2, "post")]
    assert write_scores(tmp_path, scores) == tmp_path / SCORES
    assert read_scores(tmp_path) == scores
    write_scores(tmp_path, scores[:1])
    assert read_scores(tmp_path) == scores[:1]
    (tmp_path / SCORES).write_text('{"row": 3}\n')
    with pytest.raises(DatasetError, match=r"scores\.jsonl holds no scores"):
        read_scores(tmp_path)


def test_a_group_lies_where_its_quartiles_say() -> None:
    assert spread_of([]) is None
    spread = spread_of([score(2.0, 2), score(0.0), score(-1.0), score(9.0, 3), score(8.0, 4)])
    assert spread == {"rows": 5, "helped": 3, "low": 0.0, "median": 1.0, "high": 2.0}


def test_the_largest_family_comes_first() -> None:
    families = by_family([score(1, family="b"), score(2, family="c"), score(3, family="c"), score(4, family="a")])
    assert list(families) == ["c", "a", "b"]
