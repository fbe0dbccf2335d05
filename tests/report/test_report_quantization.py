"""The ladder of types on the page and in report.md, where one was climbed, and nothing where none was."""

from pathlib import Path

import pytest
from report_run import estimate, write_run

from locum.evaluation.quant_results import Ladder, Rung
from locum.files import write_json
from locum.report.page import write_report
from locum.report.quantization import quantization

WORSE = Rung("Q4_0", 91_700_000, estimate(0.0712, 0.0401, 0.1023), 2, 12, False)
HOLDS = Rung("Q5_0", 104_000_000, estimate(-0.0004, -0.0121, 0.0118), -1, 12, True)


def ladder(*rungs: Rung, chosen: str = "Q5_0") -> Ladder:
    return Ladder(chosen, rungs, 0.02, 0.02)


def test_what_was_asked_what_came_of_it_and_on_what() -> None:
    found = quantization(ladder(WORSE, HOLDS))
    assert found is not None
    for words in (
        "by at most 0.02 nats per token",
        "at most 2 % of 12 decisions",
        "Q5_0 is the first that holds; larger ones were not tried.",
        "23 rows of 8 sessions (split valid)",
    ):
        assert words in found.sentence
    worse, holds = found.lines
    assert (worse.type, worse.size, worse.loss) == ("Q4_0", "92 MB", "+0.071 [0.040, 0.102]")
    assert (worse.decisions, worse.verdict) == ("2 of 12", "worse")
    assert (holds.decisions, holds.verdict) == ("−1 of 12", "holds")


def test_where_none_holds_the_file_is_named() -> None:
    found = quantization(ladder(WORSE, chosen="F16"))
    assert found is not None
    assert "None of 1 type holds, so the file is F16." in found.sentence


def test_without_a_ladder_there_is_nothing_and_no_gap(tmp_path: Path) -> None:
    assert quantization(None) is quantization(ladder()) is None
    run = write_run(tmp_path / "run")
    page = write_report(run).read_text("utf-8")
    assert "Types that were tried" not in page
    assert "ladder" not in (run / "report.md").read_text("utf-8")


def test_page_and_markdown_hold_every_type_that_export_tried(tmp_path: Path) -> None:
    """Written by the room that climbs, read by the room that shows."""
    run = write_run(tmp_path / "run")
    write_json(run / "model" / "ladder.json", ladder(WORSE, HOLDS))
    page = write_report(run).read_text("utf-8")
    card = page[page.index('<section id="card"') :]
    text = (run / "report.md").read_text("utf-8")
    assert "Types that were tried" in card
    for words in ("92 MB", "104 MB", "+0.071 [0.040, 0.102]", "2 of 12", "worse", "holds"):
        assert words in card
        assert words.replace("[", "\\[").replace("]", "\\]") in text


@pytest.mark.parametrize("raw", [b"{", b'{"chosen": 3}', b'{"chosen": "<script>", "rungs": [], "loss_margin": 0}'])
def test_a_damaged_ladder_is_a_gap(tmp_path: Path, raw: bytes) -> None:
    run = write_run(tmp_path / "run")
    (run / "model" / "ladder.json").write_bytes(raw)
    page = write_report(run).read_text("utf-8")
    assert "model/ladder.json is there but cannot be read" in page
    assert "<script>" not in page
