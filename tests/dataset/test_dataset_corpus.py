"""The identities over real sessions; skipped where there are none."""

import itertools
from pathlib import Path

import pytest
from built_dataset import read

from locum.dataset import extract
from locum.dataset.context import size
from locum.dataset.terms import RESTRICTED

CORPUS = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus beside the checkout")
@pytest.mark.parametrize("folder", ["claude_code", "tau_bench"])
def test_identities_hold_on_real_sessions(folder: str, tmp_path: Path) -> None:
    extract([CORPUS / folder], tmp_path / "dataset", allow_terms=RESTRICTED)
    dataset = read(tmp_path / "dataset")
    stats = dataset.stats
    assert stats.turns == stats.rows + sum(stats.drops.values())
    assert stats.leaks == 0
    assert stats.rows > stats.turns / 3
    assert min(stats.splits.values()) > 0
    rows = [row for split in dataset.rows.values() for row in split]
    assert all(size(row.prompt) <= 6000 for row in rows)
    assert len({row.id for row in rows}) == len(rows)
    for a, b in itertools.pairwise(rows):
        if a.session == b.session and b.messages[: len(a.messages)] != a.messages:
            assert any("earlier messages left out" in message.content for message in b.messages)
