"""The valley map on the page and in Markdown: every class with its picture, its words and its figures."""

from pathlib import Path

import msgspec
from report_run import estimate, write_run
from test_report_page import HOSTILE, Reader, report

from locum.evaluation.anatomy.results import Anatomy, Exhibit, Label, Part, Response, Shifted
from locum.files import write_json
from locum.report.charts import valley
from locum.report.markdown import escaped
from locum.report.valleys import MEANINGS, valley_map


def part(name: str, losses: tuple[float, ...], label: Label, share: float = 0.1) -> Part:
    response = Response(
        name=name,
        label=label,
        why=f"because of {name}",
        tokens=1_240,
        sessions=14,
        first=losses[0],
        last=losses[-1],
        losses=losses,
        drop=estimate(losses[0] - losses[-1], 0.1, 1.2),
        half_step=4,
        terminal=0.02,
        rise=0.0,
    )
    return Part(
        response=response,
        share=share,
        type=estimate(0.8, 0.6, 1.0),
        instance=estimate(-0.02, -0.1, 0.06),
        strengths=(3.0, 2.0, 1.0),
        best_strength=1.25,
        quantized=estimate(0.004, -0.001, 0.009),
        reading="needs rows",
    )


ANATOMY = Anatomy(
    steps=(0, 1, 2, 4),
    rows=40,
    sessions=14,
    train_rows=24,
    classes=(
        part("all", (2.5, 2.0, 1.6, 1.4), "valley", 1.0),
        part("function_word", (2.0, 1.4, 1.1, 1.0), "valley", 0.6),
        part("verdict", (1.5, 1.51, 1.49, 1.5), "plateau", 0.0),
        part("code", (1.5, 1.4, 1.6, 1.9), "hill", -0.1),
        part("qualifier", (2.0, 1.9, 1.8, 1.7), "undetermined", 0.1),
    ),
    families=(part("reply", (2.0, 1.5, 1.3, 1.2), "slope"),),
    choices=(part("reply", (0.7, 0.7, 0.69, 0.7), "plateau"),),
    strengths=(0.0, 1.0, 1.25),
    model_file="relay-hand.Q8_0.gguf",
    shift=(
        Shifted("all", 900, 0.9, 0.06, 0.04, ((" turns", 7),)),
        Shifted("content_other", 500, 0.8, 0.1, 0.1, ((HOSTILE, 3),)),
    ),
    exhibits=(Exhibit("0123456789abcdef", "s1", "reply", 0.9, -0.1, f"asked {HOSTILE}", "no", "yes, of course"),),
    seconds=12.0,
    notes=("No ladder was run.",),
)


def test_every_class_stands_on_the_page_with_picture_and_words(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    write_json(run / "anatomy" / "anatomy.json", ANATOMY)
    page = Reader(report(run))
    ids = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert ids == ["verdict", "funnel", "curve", "valleys", "evidence", "voices", "cost", "card"]
    pictures = [attrs["aria-label"] or "" for tag, attrs in page.tags if attrs.get("class") == "valley"]
    assert len(pictures) == 7
    assert "verdict: loss 1.50 → 1.50 nats per token over training; plateau" in pictures
    for expected in (
        "Valleys: function word; plateaus: verdict; hills: code; 1 class undetermined.",
        "still falls with rows: record more",
        "because of verdict",
        "Quantization is what relay-hand.Q8_0.gguf loses more than the adapter in full precision",
        "0.004 [−0.001, 0.009]",
        "Of 900 tokens that the tuned model wrote, the base would have said 90% too",
        "type +0.90, instance -0.10 nats per token",
    ):
        assert expected in page.text
    assert not [tag for tag, _ in page.tags if tag == "script"]


def test_a_run_without_an_anatomy_has_no_such_section(tmp_path: Path) -> None:
    page = report(write_run(tmp_path / "run"))
    assert 'id="valleys"' not in page
    assert "anatomy" not in page


def test_a_damaged_anatomy_is_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "anatomy").mkdir()
    (run / "anatomy" / "anatomy.json").write_text("{")
    assert "anatomy/anatomy.json is there but cannot be read" in Reader(report(run)).text


def test_markdown_says_the_same_and_nothing_in_it_is_markup(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    write_json(run / "anatomy" / "anatomy.json", ANATOMY)
    report(run)
    text = (run / "report.md").read_text("utf-8")
    for expected in (
        "## What it may do",
        "## The funnel",
        "## Valleys and plateaus",
        "| function word |",
        "## The model",
    ):
        assert expected in text
    assert "<script" not in text.replace("\\<", "")
    widths = {line.count(" | ") for line in text.splitlines() if line.startswith("| function word")}
    assert widths == {8}


def test_escaping_leaves_nothing_that_markdown_reads() -> None:
    assert escaped("a|b\n[x](http://e) <b>") == "a\\|b \\[x\\](http\u200b://e) \\<b\\>"


def test_valleys_share_one_scale() -> None:
    shallow, deep = valley([0, 0.5], 1.0, 0.25, "a"), valley([0, 1.0], 1.0, 0.25, "b")
    # The level of the base lies at a fifth: 0.25 of rise above 1.0 of depth.
    assert "0.0 20.0L100.0 60.0" in shallow
    assert "0.0 20.0L100.0 100.0" in deep
    assert "0.0 20.0L100.0 0.0" in valley([0, -0.25], 1.0, 0.25, "c")


def test_every_class_of_tokens_has_a_meaning() -> None:
    from locum.evaluation.token_classes import CLASSES

    assert set(CLASSES) <= set(MEANINGS)


def test_a_map_says_where_it_was_cross_fitted(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    write_json(run / "anatomy" / "anatomy.json", msgspec.structs.replace(ANATOMY, folds=5))
    assert "Cross-fitted over 5 folds, 14 sessions." in Reader(report(run)).text
    assert "Cross-fitted over 5 folds, 14 sessions." in (run / "report.md").read_text("utf-8")
    write_json(run / "anatomy" / "anatomy.json", ANATOMY)
    assert "ross-fitted" not in report(run)


def test_no_anatomy_is_no_map() -> None:
    assert valley_map(None) is None
    found = valley_map(msgspec.structs.replace(ANATOMY, families=(), choices=(), shift=(), exhibits=()))
    assert found is not None
    assert [ground.title for ground in found.grounds] == ["Classes of tokens"]
