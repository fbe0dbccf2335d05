"""The distribution of the measured legibility, where rows were scored, and nothing where they were not."""

from pathlib import Path

import pytest
from report_run import write_run

from locum.dataset.scores import SCORES, RowScore, write_scores
from locum.report.legible import legible
from locum.report.page import write_report

HOSTILE = "</table><script>alert(1)</script>"


def score(gain: float, tokens: int = 1, family: str = "reply") -> RowScore:
    return RowScore(row="r", family=family, partner="p", own=2.0, other=2.0 + gain, gain=gain, tokens=tokens)


def test_bars_hold_every_row_once_and_groups_lie_where_they_should() -> None:
    scores = [score(g) for g in (-2.0, -0.1, 0.0, 0.05, 0.2, 0.5, 1.0, 2.9, 3.0, 40.0)]
    found = legible([*scores, score(12.0, 4, "post"), score(10.0, 4, "post")])
    assert found is not None
    assert [(bar.label, bar.rows) for bar in found.bars] == [
        ("below 0.0", 2),
        ("0.0 to 0.1", 2),
        ("0.1 to 0.3", 1),
        ("0.3 to 1.0", 1),
        ("1.0 to 3.0", 3),
        ("3.0 and more", 3),
    ]
    assert found.most == 3
    assert [(group.label, group.estimate.rows) for group in found.groups] == [
        ("all rows", 12),
        ("reply", 10),
        ("post", 2),
    ]
    assert found.groups[2].text == "+2.75 [+2.62, +2.88]"
    assert found.groups[1].helped == "70 %"
    assert found.sentence.startswith("Of 12 rows scored, 75 % are easier to predict after their own prompt")
    assert found.scale.low <= 0 <= found.scale.high


def test_without_scores_there_is_nothing_and_no_gap(tmp_path: Path) -> None:
    assert legible([]) is None
    page = write_report(write_run(tmp_path / "run")).read_text("utf-8")
    assert "How legible" not in page
    assert SCORES not in page


@pytest.mark.parametrize("gain", [0.0, -1.5, 1e9])
def test_the_page_shows_them_beside_the_funnel(tmp_path: Path, gain: float) -> None:
    run = write_run(tmp_path / "run")
    write_scores(run / "dataset", [score(gain), score(0.5, family=HOSTILE)])
    with (run / "dataset" / SCORES).open("ab") as out:
        out.write(b'{"row": "torn"\n')
        out.write(b'{"row": "r", "family": "f", "partner": "p", "own": 1, "other": 1, "gain": 0, "tokens": 0}\n')
    page = write_report(run).read_text("utf-8")
    funnel = page[page.index('<section id="funnel"') : page.index('<section id="curve"')]
    assert "How legible the rows are" in funnel
    assert "Of 2 rows scored, " in funnel
    assert f"2 lines of dataset/{SCORES} cannot be read and are not shown." in funnel
    assert "<script" not in page
    assert "&lt;script&gt;" in funnel
