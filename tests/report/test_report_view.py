"""What the page says, before it is a page."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_run import RESULTS, STATS, VERDICTS, estimate, samples, verdict, write_run
from report_texts import DROPS, answer, call

from locum.errors import RunError
from locum.evaluation.results import Sample
from locum.files import write_jsonl
from locum.report import figures
from locum.report.curve import curve
from locum.report.evidence import evidence
from locum.report.inputs import EXCERPTS_PER_REASON, Excerpts, Step, Verdict, read_run
from locum.report.view import funnel, headline, page
from locum.report.voices import FOLDED, SHOWN, segments, spread, visible, voices
from locum.types import Drop


def said(*entries: dict[str, Any]) -> str:
    return headline({e["family"]: msgspec.convert(e, Verdict) for e in entries}).sentence


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([], "May be trusted with nothing yet: the gate has not spoken."),
        (
            list(VERDICTS.values()),
            "May be trusted with nothing yet: not enough evidence in any family; "
            "the nearest is tool_decision, 31 sessions short.",
        ),
        (
            [verdict("reply", sessions_needed=1)],
            "May be trusted with nothing yet: not enough evidence for reply; 1 session short.",
        ),
        (
            [verdict("reply"), verdict("post")],
            "May be trusted with nothing yet: not enough evidence in any family.",
        ),
        (
            [verdict("reply", "REJECT"), verdict("post", "REJECT")],
            "May be trusted with nothing yet: rejected in every family.",
        ),
        (
            [verdict("code_review", "REJECT"), verdict("post", sessions_needed=12)],
            "May be trusted with nothing yet: rejected in code_review; not enough evidence for post; "
            "12 sessions short.",
        ),
        (
            [verdict("reply", "SHADOW"), verdict("post", sessions_needed=12)],
            "May be trusted with nothing yet: fit to shadow the agent in reply; not enough evidence for "
            "post; "
            "12 sessions short.",
        ),
        (
            [verdict("reply", "CANARY")],
            "May be trusted with a watched share of reply: the evidence holds there, and nowhere else.",
        ),
        (
            [verdict("reply", "CANARY"), verdict("post", "LIVE"), verdict("code_review", "LIVE")],
            "May be trusted with code_review and post: with a watched share of reply.",
        ),
        ([verdict("post", "LIVE")], "May be trusted with post: the evidence holds in every family."),
        (
            [verdict("post", "SUPERB")],
            "May be trusted with nothing yet: not enough evidence for post.",
        ),
    ],
)
def test_headline_says_no_more_than_the_gate(entries: list[dict[str, Any]], sentence: str) -> None:
    assert said(*entries) == sentence


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["INSUFFICIENT", "REJECT", "SHADOW"])))
def test_nothing_is_granted_without_canary_or_live(words: dict[str, str]) -> None:
    sentence = said(*(verdict(family, word) for family, word in words.items()))
    assert sentence.startswith("May be trusted with nothing yet: ")


def test_families_stand_with_the_nearest_first(tmp_path: Path) -> None:
    lines = page(read_run(write_run(tmp_path / "run"))).families
    assert [line.family for line in lines] == ["tool_decision", "code_review", "reply", "post"]
    assert lines[0].short == "31 sessions short"
    assert lines[3].short == ""
    assert lines[0].seen == "9 held-out rows of 6 sessions, as much evidence as 7.4 unrelated rows"


def test_funnel_steps_down_from_turns_to_rows() -> None:
    shown = funnel(STATS, Excerpts({}))
    drops = [bar for bar in shown.bars if bar.kind == "drop"]
    assert drops[0].stop == STATS.turns
    assert all(above.start == below.stop for above, below in pairwise(drops))
    assert drops[-1].start == STATS.rows
    families = [bar for bar in shown.bars if bar.kind == "family"]
    assert (families[0].start, families[-1].stop) == (0, STATS.rows)
    assert all(bar.meaning for bar in drops)
    assert shown.notes == ()


def test_funnel_says_when_the_counts_do_not_add_up() -> None:
    notes = funnel(msgspec.structs.replace(STATS, rows=90), Excerpts({})).notes
    assert "do not add up: 90 rows and 177 drops are not 268 turns" in notes[0]


def test_excerpts_come_from_as_many_sessions_as_there_are(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    many = [Drop("one", i, "copy", f"first {i}") for i in range(9)] + [Drop(f"s{i}", 0, "copy", "x") for i in range(9)]
    write_jsonl(run / "dataset" / "drops.jsonl", many)
    chosen = read_run(run).excerpts.by_reason["copy"]
    assert len(chosen) == EXCERPTS_PER_REASON
    assert len({drop.session for drop in chosen}) == EXCERPTS_PER_REASON


def test_curve_marks_the_best_and_says_that_it_rose() -> None:
    steps = [
        Step(0, valid_loss=4.0),
        Step(1, 0.5, 200, 3.5),
        Step(2, 1.0, 400, 3.0, 2.0),
        Step(3, 1.5, 600, 2.5, 2.4),
    ]
    shown = curve(steps)
    assert shown is not None
    assert shown.best is not None
    assert shown.best.point == (2, 2.0)
    assert shown.sentence == (
        "In 3 steps the training loss of single steps went from 3.500 to 2.500 and held-out loss went from 4.000 to "
        "2.400 nats per token; "
        "the best held-out loss was 2.000 at step 2, after which it rose."
    )
    assert [row[0] for row in shown.table] == ["0", "2", "3"]
    assert not shown.x.log


def test_curve_turns_logarithmic_when_the_fall_is_at_the_beginning() -> None:
    shown = curve([Step(i, train_loss=1 + 3 / (i + 1)) for i in range(200)])
    assert shown is not None
    assert shown.x.log


def test_long_curve_is_thinned_but_keeps_its_ends() -> None:
    shown = curve([Step(i, train_loss=10 - i / 1000) for i in range(1, 5001)])
    assert shown is not None
    points = shown.lines[0].points
    assert len(points) <= 402
    assert (points[0], points[-1]) == ((1, 9.999), (5000, 5.0))
    assert any("means over equal stretches" in note for note in shown.notes)


@pytest.mark.parametrize("steps", [[], [Step(1)]])
def test_no_loss_is_no_curve(steps: list[Step]) -> None:
    assert curve(steps) is None


def test_one_single_step_is_drawn() -> None:
    shown = curve([Step(1, 0.1, 10, 2.0, 2.0)])
    assert shown is not None
    assert shown.best is not None
    assert shown.best.label == "best"


def test_arms_keep_one_order_and_differences_their_own_scale() -> None:
    shown = evidence(RESULTS)
    exact = shown.competence[0].measures[1]
    assert exact.arms is not None
    assert exact.differences is not None
    assert [row.arm for row in exact.arms.rows] == ["agent", "base", "tuned", "majority"]
    assert exact.differences.rows[0].label == "tuned − agent"
    assert exact.differences.rows[0].text == "−0.56 [−0.85, −0.23]"
    assert exact.differences.scale.low < 0 < exact.differences.scale.high
    assert exact.evidence == "9 rows of 6 sessions"
    assert shown.scored == "all 23 held-out rows of 8 sessions"
    assert shown.generated == "20 of 23 held-out rows, from 8 of 8 sessions (cap 20)"
    assert shown.resemblance[0].arms is not None
    assert shown.resemblance[0].arms.rows[1].text == "2.147 [1.893, 2.420]"


def test_a_difference_from_every_baseline_is_no_arm() -> None:
    arms = {arm: estimate(0.5, 0.2, 0.8, 9, 6) for arm in ("base", "tuned", "majority", "knn", "base_icl")}
    differences = {f"tuned-{arm}": estimate(-0.2, -0.6, 0.2, 9, 6) for arm in arms if arm != "tuned"}
    results = msgspec.structs.replace(RESULTS, competence={"reply": {"stance": arms | differences}})
    stance = evidence(results).competence[0].measures[0]
    assert stance.arms is not None
    assert stance.differences is not None
    assert {row.arm for row in stance.arms.rows} == set(arms)
    assert {row.label for row in stance.differences.rows} == {f"tuned − {arm}" for arm in arms if arm != "tuned"}


def test_uneven_evidence_is_not_hidden() -> None:
    results = msgspec.structs.replace(
        RESULTS, signatures={"loops": {"base": estimate(0, 0, 1, 3, 1), "tuned": estimate(0, 0, 1, 5, 2)}}
    )
    assert evidence(results).signatures[0].evidence == "3 rows of 1 session · 5 rows of 2 sessions"


def test_samples_are_spread_over_families_then_sessions() -> None:
    ordered = spread(samples(23))
    assert len({sample.row for sample in ordered}) == 23
    assert {sample.family for sample in ordered[:4]} == {"tool_decision", "code_review", "reply", "post"}


def test_a_large_run_shows_a_part_and_says_so() -> None:
    shown = voices(samples(300))
    assert (len(shown.shown), len(shown.folded), shown.left_out) == (SHOWN, FOLDED, 300 - SHOWN - FOLDED)


# Without carriage returns: the pair that ends a line is shown as one break, which single characters cannot tell.
TEXTS = st.text(st.characters(exclude_characters="\r"), max_size=40)


@given(TEXTS, st.lists(st.tuples(st.integers(-5, 50), st.integers(-5, 50), st.just("number"))))
def test_segments_lose_nothing_whatever_the_spans(text: str, spans: list[tuple[int, int, str]]) -> None:
    assert "".join(segment.text for segment in segments(text, spans)) == "".join(
        visible(character) for character in text
    )


def test_made_up_details_of_a_call_are_found_in_its_arguments() -> None:
    first, second = call("a", x="real"), call("b", y="made")
    text = '{"x":"real"}\n{"y":"made"}'
    start = text.index("made")
    both = msgspec.structs.replace(answer(), tool_calls=(first, second), made_up=((start, start + 4, "identifier"),))
    shown = voices([Sample("r", "s", "l", "tool_decision", "go", both, both, both)]).shown[0].voices[0]
    assert [segment.kind for c in shown.calls for segment in c.arguments] == [None, None, "identifier", None]
    assert shown.calls[1].arguments[1].text == "made"


def test_repetition_is_flagged_only_above_the_agent() -> None:
    def flags(agent: float, tuned: float) -> tuple[str, ...]:
        said_by_agent, said_by_tuned = answer("x", repetition=agent), answer("x", repetition=tuned)
        return (
            voices([Sample("r", "s", "l", "post", "go", said_by_agent, answer("x"), said_by_tuned)])
            .shown[0]
            .voices[2]
            .flags
        )

    assert flags(0.0, 0.5) == ("repeats itself (50 %)",)
    assert flags(0.6, 0.5) == ()
    assert flags(0.0, 0.1) == ()


def test_hidden_characters_are_written_out() -> None:
    assert visible("a\u202eb\x1b[0m\tc\n") == "a⟨U+202E⟩b⟨U+001B⟩[0m\tc\n"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (figures.number(-0.001), "0.00"),
        (figures.number(0.0, signed=True), "0.00"),
        (figures.number(-1234.5, 1), "−1,234.5"),
        (figures.number(float("nan")), "not a number"),
        (figures.percent(0.004), "< 1 %"),
        (figures.percent(0.999), "> 99 %"),
        (figures.duration(151.2), "2 min 31 s"),
        (figures.duration(3_840), "1 h 04 min"),
        (figures.size(145_000_000), "145 MB"),
        (figures.size(3_100_000_000), "3.1 GB"),
        (figures.small(0.0000021), "2e-06"),
        (figures.listing(["a", "b", "c"]), "a, b and c"),
        (figures.file_name("C:\\Users\\u\\x.gguf"), "x.gguf"),
    ],
)
def test_figures(written: str, expected: str) -> None:
    assert written == expected


def test_card_says_how_to_talk_to_it_and_no_folder_of_its_owner(tmp_path: Path) -> None:
    card = page(read_run(write_run(tmp_path / "run"))).card
    facts = {fact.term: fact.detail for fact in card.facts}
    assert facts["talk to it"] == "locum chat relay-hand"
    assert facts["model file"] == "relay-hand.Q8_0.gguf (1 MB)"
    assert card.parity_holds
    assert card.parity == (
        "12 of 12 conversations identical between training and xllamacpp 2026.2.1, token by token; over "
        "1,480 tokens "
        "the engine's log-probs and those of the fused model differ by 0.0061 nats on average "
        "and 0.0710 at most."
    )
    assert RESULTS.notes[0] in card.limits


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run folder at"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(RunError, match="holds no run"):
        read_run(tmp_path)


def test_drops_of_the_fixture_have_excerpts(tmp_path: Path) -> None:
    by_reason = read_run(write_run(tmp_path / "run")).excerpts.by_reason
    assert sum(map(len, by_reason.values())) == len(DROPS)
