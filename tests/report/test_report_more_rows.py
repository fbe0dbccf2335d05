"""More rows, cost and tinted tokens: on the page, in Markdown, and where there is nothing to say."""

import re
from pathlib import Path

import msgspec
import polars as pl
import pytest
from full_run import PHRASE, a_forecast, a_scaling, losses, replaced, write_full_run
from report_run import samples, write_run
from test_report_page import HOSTILE, Reader, report

from locum.dataset.stats import Calls
from locum.evaluation import nll
from locum.files import write_json
from locum.report.cost import cost
from locum.report.inputs import read_run
from locum.report.scaling import climbs, lever, next_batch
from locum.report.tints import Token, read_tokens, sentence, spans
from locum.report.view import page
from locum.report.voices import SHOWN, segments, spread, voices
from locum.settings import Price


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_full_run(tmp_path_factory.mktemp("full") / "run")


@pytest.fixture(scope="module")
def html(run: Path) -> str:
    return report(run)


def test_all_sections_stand_in_the_order_of_an_editor(html: str) -> None:
    ids = [attrs["id"] for tag, attrs in Reader(html).tags if tag == "section"]
    assert ids == ["verdict", "funnel", "curve", "valleys", "evidence", "voices", "scaling", "cost", "card"]


def test_the_ladder_says_its_points_its_law_and_the_next_batch(html: str) -> None:
    found = a_forecast()
    assert not found.refused
    text = Reader(html).text
    assert "Next batch: 64 more rows, about 16 sessions of the same mix, would bring the held-out loss from" in text
    assert "reply gains most by it." in text
    assert f"128 rows would give {found.expected:.3f} [" in text
    assert "smollm2:360m on the same rows has a held-out loss of 1.210 [1.180, 1.240], +0.160" in text
    pictures = [attrs["aria-label"] or "" for tag, attrs in Reader(html).tags if attrs.get("class") == "ladder"]
    assert [words.split(":")[0] for words in pictures] == ["all tokens", "reply", "post", "choice, reply"]
    assert f"{found.losses[0]:.3f} with 8 rows" in pictures[0]
    # Measured points are discs, what is foretold a ring; where nothing is, there is neither ring nor law.
    assert html.count('class="ahead" r=') == html.count('class="law" d="M0.0') == 2
    assert html.count('class="seen" r="3.4"/></svg>') >= 4 * 7


def test_a_refusal_stands_with_its_reason_in_place_of_a_number(run: Path, tmp_path: Path) -> None:
    still = a_forecast(fall=0.0)
    assert still.refused
    refused = msgspec.structs.replace(a_scaling(), all=still, larger=None)
    assert next_batch(refused) == f"Nothing is foretold: {still.refused[0]}."
    assert lever(refused) == ""
    shown = climbs(refused)
    assert shown is not None
    assert (shown.climbs[0].ahead, shown.climbs[0].law) == (None, ())
    assert shown.climbs[0].refused == still.refused
    other = write_full_run(tmp_path / "other")
    replaced(other, all=still, larger=None)
    text = Reader(report(other)).text
    assert f"No forecast : {still.refused[0]}" in text
    assert "The other lever" not in text


def test_a_run_without_a_ladder_has_no_such_section_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    plain = write_run(tmp_path / "run")
    assert 'id="scaling"' not in report(plain)
    (plain / "scaling.json").write_text("{")
    assert "scaling.json is there but cannot be read" in Reader(report(plain)).text


def test_the_bill_holds_what_the_run_knows(html: str) -> None:
    text = Reader(html).text
    for expected in (
        "training 1 min 24 s 49,200 tokens, 586 a second",
        "scoring held-out rows 31 s 80,000 tokens through 2 models",
        "all stages 2 min 40 s",
        "main memory at its peak 1.4 GB",
        "model/ 1 MB",
    ):
        assert expected in text, text[text.find("What it cost") :][:600]


@pytest.mark.parametrize(
    ("usage", "prices", "much", "note"),
    [
        (
            Calls(10, 1000, 50, 800),
            {},
            "price not known",
            "no log states one, and [prices] in locum.toml names none; 100 tokens in (80 of them from its cache), "
            "5 out, over 10 calls",
        ),
        (Calls(10, 1000, 50, 800, priced=4, cost=0.2), {}, "$0.050", "as the log says of 4 calls; 100 tokens in"),
        (
            Calls(1, 1_000_000, 100_000, 500_000, priced=1, cost=9.0),
            {"other*": Price(input=9, output=9), "claude-*": Price(input=3, output=15, cached=0.3)},
            "$3.15",
            "at the price in locum.toml; 1,000,000 tokens in",
        ),
        (Calls(1, 1_000_000, 0, 500_000), {"*": Price(input=3, output=15)}, "$3.00", "at the price"),
        (Calls(1, 10, 0), {"*": Price(input=0, output=0)}, "$0.00", "at the price"),
    ],
)
def test_a_call_of_the_agent_costs_what_its_log_or_the_user_says(
    run: Path, usage: Calls, prices: dict[str, Price], much: str, note: str
) -> None:
    inputs = read_run(run)
    assert inputs.stats is not None
    counted = msgspec.structs.replace(inputs.stats, usage={"anthropic/claude-x": usage})
    found = cost(msgspec.structs.replace(inputs, stats=counted), prices)
    assert found is not None
    last = found.items[-1]
    assert (last.what, last.much) == ("a call of anthropic/claude-x", much)
    assert last.note.startswith(note)
    assert "stands last" in found.sentence


def test_where_no_log_counts_tokens_it_says_so(html: str) -> None:
    assert "logs count no tokens, so what its own calls cost is not known" in Reader(html).text


def test_every_token_of_the_answer_is_there_and_tinted(run: Path) -> None:
    shown = page(read_run(run)).voices
    assert shown.tinted
    whole = losses(samples(23)).filter(pl.col("arm") == "base", pl.col("context") == "own")
    answers = {row: "".join(part["text"]) for (row,), part in whole.group_by("row", maintain_order=True)}
    for exchange, sample in zip(shown.shown, spread(samples(23)), strict=False):
        agent = exchange.voices[0]
        assert "".join(segment.text for segment in agent.text) + "<|im_end|>" == answers[sample.row]
        assert agent.calls == ()
        assert {segment.tint for segment in agent.text} >= {"much-harder"}
        assert agent.effect is not None
        assert "im_end" not in agent.effect
    assert all(exchange.voices[0].effect is None for exchange in shown.folded)


def test_tints_follow_the_loss_and_are_said_in_words() -> None:
    tokens = (Token("so", 2.4), Token(" it", 0.1), Token(" ends", -0.7), Token("!", -2.0), Token("?", 0.5))
    assert spans(tokens) == [(0, 2, "much-easier"), (5, 10, "harder"), (10, 11, "much-harder"), (11, 12, "easier")]
    said = sentence(tokens)
    assert "of 5 tokens 2 became easier and 2 harder" in said
    assert "“so” (+2.4)" in said
    assert "Harder: “!” (−2.0) and “ends” (−0.7)." in said


def test_tokens_of_one_character_are_one_piece(tmp_path: Path) -> None:
    table = losses(samples(1))
    pieces = table.filter(pl.col("context") == "own")
    split = pieces.with_columns(text=pl.when(pl.col("position") == 1).then(pl.lit("")).otherwise(pl.col("text")))
    nll.write(split, tmp_path / "nll.parquet")
    (row,) = pieces["row"].unique().to_list()
    tokens = read_tokens(tmp_path / "nll.parquet", [row])[row]
    assert len(tokens) == len(pieces) // 2 - 2, "one joined, and the end of turn is no word"
    assert tokens[0].gain == pytest.approx(-2.5 + 1.8)
    assert read_tokens(tmp_path / "nll.parquet", ["another"]) == {}


def test_a_table_without_texts_leaves_the_answers_as_they_are(run: Path, tmp_path: Path) -> None:
    other = write_full_run(tmp_path / "run")
    table = pl.read_parquet(other / "evaluation" / "nll.parquet").drop("text")
    table.write_parquet(other / "evaluation" / "nll.parquet")
    assert not page(read_run(other)).voices.tinted
    assert set(nll.read(other / "evaluation" / "nll.parquet")["text"].to_list()) == {None}
    (other / "evaluation" / "nll.parquet").write_bytes(b"PAR1")
    assert "evaluation/nll.parquet is there but cannot be read" in Reader(report(other)).text


def test_favourite_phrases_are_boxed_where_they_are_said(html: str) -> None:
    assert re.search(rf'<b class="favourite">{PHRASE}</b>', html)
    assert f"says more often than the agent : {PHRASE}" in Reader(html).text


def test_marks_of_several_sorts_lie_over_one_another() -> None:
    found = segments("abcdef", [(0, 4, "number"), (2, 5, "date")], [(3, 6)], [(0, 1, "easier"), (5, 9, "harder")])
    assert [(one.text, one.kind, one.favourite, one.tint) for one in found] == [
        ("a", "number", False, "easier"),
        ("bc", "number", False, ""),
        ("d", "number", True, ""),
        ("e", "date", True, ""),
        ("f", None, True, "harder"),
    ]


def test_made_up_details_of_the_agent_stay_underlined_in_a_tinted_answer() -> None:
    sample = next(sample for sample in samples(23) if sample.agent.tool_calls)
    marked = msgspec.structs.replace(sample.agent, made_up=((1, 8, "identifier"),))
    tokens = (Token("<tool_call>\n", 1.0), Token(' {"x": "y"}', 0.0))
    source = msgspec.json.encode(sample.agent.tool_calls[0].arguments).decode()[1:8]
    whole = (*tokens, Token(source, 3.0))
    shown = voices([msgspec.structs.replace(sample, agent=marked)], {}, {sample.row: whole}).shown[0].voices[0]
    assert [one.text for one in shown.text if one.kind] == [source]


def test_only_answers_in_full_view_are_tinted_so_that_a_page_stays_light(tmp_path: Path) -> None:
    big = write_full_run(tmp_path / "run", rows=2_000)
    html = report(big)
    assert len(html) < 1_200_000
    assert html.count('class="much-harder"') > SHOWN
    assert html.count("<") / 2 < 15_000


def test_markdown_says_the_same(run: Path, html: str) -> None:
    text = (run / "report.md").read_text("utf-8")
    for expected in (
        "## Three voices",
        "## More rows",
        "Next batch: 64 more rows",
        "No forecast: ",
        "## What it cost",
        "| main memory at its peak | 1.4 GB |",
        f"says more often than the agent: {PHRASE}",
        "Training took ",
        "made up: ",
    ):
        assert expected in text, expected


def test_hostile_words_in_the_new_places_stay_text(tmp_path: Path) -> None:
    run = write_full_run(tmp_path / "run")
    still = a_forecast(fall=0.0)
    replaced(run, base=HOSTILE, families={HOSTILE: still}, choices={HOSTILE: still}, classes={HOSTILE: still})
    table = nll.read(run / "evaluation" / "nll.parquet").with_columns(text=pl.lit(HOSTILE))
    nll.write(table, run / "evaluation" / "nll.parquet")
    write_json(run / "evaluation" / "signatures.json", {"phrases": {"tuned": [{"text": HOSTILE}, {"text": PHRASE}]}})
    reader = Reader(report(run))
    assert not {"script", "img"} & {tag for tag, _ in reader.tags}
    assert not any(name.startswith("on") for _, attrs in reader.tags for name in attrs)
    markdown = (run / "report.md").read_text("utf-8")
    assert "<script" not in markdown.replace("\\<", "")
