"""`--score`: the file beside the rows, and what is said of it."""

from pathlib import Path

import pytest
from small_models import row, says, user

from locum import files
from locum.cli.output import Output
from locum.cli.score import score, show
from locum.dataset.card import card
from locum.dataset.scores import SCORES, read_scores
from locum.dataset.stats import LineCounts, Stats
from locum.dataset.store import encode_row, read_stats
from locum.errors import DatasetError
from locum.progress import silent
from locum.training.base import Base

STATS = Stats(
    files=1, sessions=7, lines=LineCounts(), noise={}, unknown={}, bad=(), turns=7, rows=7, drops={},
    families={"reply": 6, "post": 1}, splits={"train": 5, "valid": 1, "test": 1}, redactions={}, formats={},
    narration=0, ordered_by="time", untimed=0, sessions_by_split={"train": 5, "valid": 1, "test": 1},
    without_turns=0, shortened=0, tiers={}, models={}, context_chars=6000, response_chars=3000,
)  # fmt: skip


def write_rows(folder: Path) -> Path:
    rows = {
        "train": [row(user(f"Is {n} late?"), says(f"No, {n} is not."), session=f"s{n}") for n in range(5)],
        "valid": [row(user("Post"), says("We ship it."), session="p", family="post")],
        "test": [row(user("word " * 5000), says("Long."), session="long")],
    }
    folder.mkdir()
    for split, members in rows.items():
        (folder / f"{split}.jsonl").write_bytes(b"".join(encode_row(of) + b"\n" for of in members))
    files.write_json(folder / "stats.json", STATS)
    files.write_text(folder / "README.md", card(STATS))
    return folder


@pytest.mark.usefixtures("float32")
def test_scores_of_all_splits_stand_beside_the_rows(
    tmp_path: Path, tiny_base: Base, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = write_rows(tmp_path / "dataset")
    found = score(dataset, str(tiny_base.folder), 200, silent)
    scores = read_scores(dataset)
    assert (found["rows"], found["scored"], found["alone"], len(found["skipped"])) == (7, 5, 1, 1)
    assert len(scores) == found["gain"]["rows"] == found["families"]["reply"]["rows"] == 5
    assert found["tokens_per_second"] > 0
    files.digest(found)  # everything in it can be written as JSON
    show(Output(json=False, quiet=False, debug=False), found)
    said = capsys.readouterr().out
    assert "scored 5 of 7 rows" in said
    assert "not scored: 1, alone in its family" in said
    assert "not scored: 1; the first: row " in said
    assert (read_stats(dataset).scored, read_stats(dataset).scored_under) == (5, str(tiny_base.folder))
    assert f"5 rows were scored under `{tiny_base.folder}`" in (dataset / "README.md").read_text()
    score(dataset, str(tiny_base.folder), 2, silent, seed=1)
    assert len(read_scores(dataset)) <= 2, "an earlier file is replaced"
    assert (dataset / "README.md").read_text().count("rows were scored under") == 1


def test_a_folder_that_is_no_dataset_is_refused_before_anything_is_loaded(tmp_path: Path, tiny_base: Base) -> None:
    with pytest.raises(DatasetError, match="is no dataset"):
        score(tmp_path, str(tiny_base.folder), 5, silent)
    assert not (tmp_path / SCORES).exists()
