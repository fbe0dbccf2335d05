"""`--score`: the file beside the rows, and what is said of it."""

from pathlib import Path

import pytest
from small_models import row, says, user

from locum import files
from locum.cli.output import Output
from locum.cli.score import score, show
from locum.dataset.scores import SCORES, read_scores
from locum.dataset.store import encode_row
from locum.errors import DatasetError
from locum.progress import silent
from locum.training.base import Base


def write_rows(folder: Path) -> Path:
    rows = {
        "train": [row(user(f"Is {n} late?"), says(f"No, {n} is not."), session=f"s{n}") for n in range(5)],
        "valid": [row(user("Post"), says("We ship it."), session="p", family="post")],
        "test": [row(user("word " * 5000), says("Long."), session="long")],
    }
    folder.mkdir()
    for split, members in rows.items():
        (folder / f"{split}.jsonl").write_bytes(b"".join(encode_row(of) + b"\n" for of in members))
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
    score(dataset, str(tiny_base.folder), 2, silent, seed=1)
    assert len(read_scores(dataset)) <= 2, "an earlier file is replaced"


def test_a_folder_that_is_no_dataset_is_refused_before_anything_is_loaded(tmp_path: Path, tiny_base: Base) -> None:
    with pytest.raises(DatasetError, match="is no dataset"):
        score(tmp_path, str(tiny_base.folder), 5, silent)
    assert not (tmp_path / SCORES).exists()
