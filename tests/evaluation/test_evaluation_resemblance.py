"""Measures of sounding right: they know the same voice, another voice, and how little they rest on."""

from functools import cache

import numpy as np
import pytest
from answer_samples import samples_of, silent
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from small_models import row, says, user
from voices import judged, oracle, parrot, replies

from locum.evaluation.resemblance.delta import delta
from locum.evaluation.resemblance.measure import Resemblance, resemblance
from locum.evaluation.resemblance.replicates import MIN_SESSIONS, Replicates, combined, halves, talk
from locum.evaluation.resemblance.rhythm import FEATURES, Rhythm, rhythm
from locum.evaluation.resemblance.two_sample import TwoSample, masked, two_sample
from locum.evaluation.resemblance.vocabulary import own_words, vocabulary
from locum.evaluation.results import Answer, Sample
from locum.types import Estimate, ToolCall, Undefined


@cache
def spoken_by(voice: str, sessions: int = 40) -> tuple[Sample, ...]:
    tuned = {"parrot": parrot, "oracle": oracle}[voice]
    return tuple(judged(replies(sessions), tuned, replies(5, name="t")))


@cache
def measured(voice: str) -> Resemblance:
    return resemblance(spoken_by(voice), frozenset())


def estimate(measure: str, voice: str, arm: str = "tuned") -> float:
    return measured(voice).measures[measure][arm].estimate


# --- all of them


@pytest.mark.parametrize("measure", ["two_sample", "style", "rhythm"])
def test_the_same_voice_is_near_and_another_far(measure: str) -> None:
    assert estimate(measure, "parrot") > 0.85
    assert estimate(measure, "oracle") < 0.7
    assert estimate(measure, "parrot", "agent") > 0.85, "the agent's own distance from itself is the measure"
    for arms in (measured("parrot").measures[measure], measured("oracle").measures[measure]):
        for figure in arms.values():
            assert 0 <= figure.low <= figure.estimate <= figure.high <= 1
            assert (figure.rows, figure.sessions) == (160, 40)


def test_recovery_is_one_as_the_agent_and_none_as_the_base() -> None:
    assert measured("parrot").recovery["resemblance"].estimate == pytest.approx(1, abs=0.1)
    same = resemblance([replace(s, tuned=s.base) for s in spoken_by("parrot")], frozenset())
    assert same.recovery["resemblance"].estimate == pytest.approx(0, abs=1e-9)
    assert same.recovery["gap"].estimate == pytest.approx(0, abs=1e-9)


def test_recovery_from_a_base_that_is_the_agent_is_undefined() -> None:
    already = resemblance([replace(s, base=s.agent) for s in spoken_by("oracle")], frozenset())
    assert already.recovery == {}
    assert "base is not shown to be farther" in already.undefined["recovery/style"].why
    assert already.undefined["recovery/gap"].kind == "too_few"


@pytest.mark.parametrize("sessions", [1, MIN_SESSIONS - 1])
def test_few_sessions_say_nothing(sessions: int) -> None:
    few = resemblance(judged(replies(sessions, 40), parrot, []), frozenset())
    assert few.measures == {}
    assert {why.kind for why in few.undefined.values()} <= {"too_few", "undefined"}
    assert few.undefined["resemblance/two_sample"].why == f"{sessions} of at least {MIN_SESSIONS} sessions"


def test_few_words_say_nothing() -> None:
    few = resemblance(judged(replies(8, 1), parrot, []), frozenset())
    assert few.measures.keys() <= {"rhythm"}
    assert few.undefined["resemblance/two_sample"].why == "8 of at least 20 pairs of answers"
    assert "of at least 2,500 words" in few.undefined["resemblance/style"].why


def test_nothing_said_in_words() -> None:
    assert resemblance([], frozenset()).measures == {}


# --- each of them


def test_masking_leaves_no_matter() -> None:
    assert masked("The parcel W-17 isn’t late, is it?") == "the x2 x0-## x2 x1, is it?"
    assert masked("Ledger 2") == masked("Parcel 7")


def test_a_classifier_cannot_tell_the_agent_from_itself_and_says_how_sure() -> None:
    told, foreign = two_sample(talk(spoken_by("parrot"))), two_sample(talk(spoken_by("oracle")))
    assert isinstance(told, TwoSample)
    assert isinstance(foreign, TwoSample)
    assert told.p_value["tuned"] > 0.01
    assert foreign.p_value["tuned"] <= 0.002
    assert told.length_only["tuned"] < 0.6 < foreign.length_only["tuned"]
    assert any("length is the tell" in note for note in measured("oracle").notes)
    assert measured("parrot").notes == ()


def test_topics_do_not_tell() -> None:
    """The same sentences about other things: nouns are masked."""
    rows = replies(12)
    others = {"order": "basket", "parcel": "packet", "ledger": "folder", "crate": "chest", "invoice": "voucher"}

    def moved(text: str) -> str:
        for noun, other in others.items():
            text = text.replace(noun, other)
        return text

    told = two_sample(talk(samples_of(rows, lambda r: says(moved(r.response.content)), silent, [])))
    assert isinstance(told, TwoSample)
    assert told.indistinguishable.whole["tuned"] > 0.8


def test_rhythm_says_what_differs() -> None:
    run = rhythm(talk(spoken_by("oracle")))
    assert isinstance(run, Rhythm)
    assert run.distances.keys() == set(FEATURES)
    assert run.distances["sentence_length"]["tuned"] > 20 * run.distances["sentence_length"]["agent"]
    assert run.distances["qualifiers"]["tuned"] > run.distances["qualifiers"]["agent"]


def test_delta_is_symmetric_in_nothing_but_the_agent() -> None:
    """All voices the same: each has the agent's own value, which is below one, since halves differ."""
    same = delta(talk([replace(s, base=s.agent, tuned=s.agent) for s in spoken_by("parrot")]))
    assert isinstance(same, Replicates)
    assert same.whole["base"] == same.whole["tuned"] == same.whole["agent"] < 1


def test_own_words_are_of_several_sessions_and_no_habit() -> None:
    train = [
        *(row(user("?"), says("The x402-gate hums, as said. Escrow."), session=f"s{i}") for i in range(9)),
        *(row(user("?"), says("As said."), session=f"t{i}") for i in range(41)),
    ]
    assert own_words(train) == {"x402-gate", "hums", "escrow"}
    assert "said" not in own_words(train)
    assert own_words(train[:2]) == frozenset()


def word_samples(tuned: str, sessions: int = 10) -> list[Sample]:
    """The agent says `escrow` to even prompts and `ledger` to odd ones."""
    said = ["escrow" if i % 2 else "ledger" for i in range(4 * sessions)]
    rows = [row(user(f"{i}?"), says(word), session=f"s{i // 4}") for i, word in enumerate(said)]
    answers = {
        "right": lambda r: r.response,
        "everywhere": lambda r: says("escrow ledger"),
        "swapped": lambda r: says("ledger" if r.response.content == "escrow" else "escrow"),
    }
    return samples_of(rows, answers[tuned], silent, [])


@pytest.mark.parametrize(("tuned", "expected"), [("right", 1.0), ("everywhere", 2 / 3), ("swapped", 0.0)])
def test_words_count_in_the_right_places(tuned: str, expected: float) -> None:
    found = vocabulary(word_samples(tuned), frozenset({"escrow", "ledger"}))
    assert isinstance(found, Replicates)
    assert found.whole["tuned"] == pytest.approx(expected)
    assert found.whole["agent"] == 1
    assert found.whole["base"] == 0
    assert found.whole["elsewhere"] < 0.9, "the right words in the wrong places"


def test_a_word_that_was_asked_with_is_nobodys_own() -> None:
    rows = [row(user("about escrow?"), says("escrow"), session=f"s{i}") for i in range(40)]
    found = vocabulary(samples_of(rows, lambda r: r.response, silent, []), frozenset({"escrow"}))
    assert found == Undefined("too_few", "0 of at least 30 uses of the agent's own words")


# --- their parts


@given(st.lists(st.floats(0, 1000), min_size=2, max_size=40), st.integers(1, 8))
def test_halves_are_halves(sizes: list[float], splits: int) -> None:
    cuts = halves(np.array(sizes), splits)
    held = cuts @ np.array(sizes)
    assert cuts.shape == (splits, len(sizes))
    assert cuts.any(axis=1).all()
    assert not cuts.all(axis=1).any()
    assert (abs(held - sum(sizes) / 2) <= max(sizes) / 2 + len(sizes)).all()


def test_a_combination_leaves_a_session_out_of_all_measures_at_once() -> None:
    one = Replicates({"x": 3.0}, {"x": np.array([1.0, 5.0])}, ("a", "b"), 4)
    two = Replicates({"x": 10.0}, {"x": np.array([20.0])}, ("b",), 2)
    found = combined({"one": one, "two": two}, lambda v: v["one"]["x"] + v["two"]["x"])
    assert isinstance(found, Estimate)
    assert (found.estimate, found.sessions, found.rows) == (13.0, 2, 4)
    error = np.sqrt(1 / 2 * ((1 + 10 - 13) ** 2 + (5 + 20 - 13) ** 2))
    assert found.high - 13 == pytest.approx(12.7062047 * error)


def test_calls_are_no_talk() -> None:
    calling = [replace(s, agent=Answer(tool_calls=(ToolCall("x", "wait"),))) for s in spoken_by("parrot")[:3]]
    assert talk([*calling, *spoken_by("parrot")[3:5]]).rows == 2
