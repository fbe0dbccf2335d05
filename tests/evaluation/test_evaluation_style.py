"""Style: one for the same voice, symmetric, blind to what is talked about, and open about how little it rests on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.evaluation.style import FEATURES, profile, similarity

WORDS = st.sampled_from([*FEATURES, "order", "late", "W-1204"])
TEXTS = st.lists(st.lists(WORDS, max_size=12).map(" ".join), min_size=1, max_size=6)
BRIEF = ["Looks good. Ship it.", "No. It breaks.", "Done. Next.", "It is late. Why?"]
WORDY = [
    "I would have thought that, because of what we said before, there should be more of this;",
    "and while it may also be so, they could not have had any of which you would then be sure,",
    "however it was that which the others might have been with, and so on and about and over",
    "that is to say, for all of us who were there, it can only be what it has been until then",
]


@given(TEXTS)
def test_the_same_texts_are_one(texts: list[str]) -> None:
    clusters = [f"s{i}" for i in range(len(texts))]
    found = similarity(texts, texts, clusters)
    if not any(profile(text).any() for text in texts):
        assert found is None
        return
    assert found is not None
    assert found.estimate == pytest.approx(1.0)
    assert found.high == pytest.approx(1.0)
    assert found.rows == found.sessions == len(texts)


@given(st.data())
def test_it_is_symmetric_and_its_interval_holds_it(data: st.DataObject) -> None:
    ours = data.draw(TEXTS)
    theirs = data.draw(st.lists(st.lists(WORDS, max_size=12).map(" ".join), min_size=len(ours), max_size=len(ours)))
    clusters = data.draw(st.lists(st.sampled_from("abc"), min_size=len(ours), max_size=len(ours)))
    found, turned = similarity(ours, theirs, clusters), similarity(theirs, ours, clusters)
    assert (found is None) == (turned is None)
    if found is None or turned is None:
        return
    assert found.estimate == pytest.approx(turned.estimate)
    assert 0.0 <= found.low <= found.estimate + 1e-9
    assert found.estimate - 1e-9 <= found.high <= 1.0 + 1e-9
    assert found.sessions == len(set(clusters))


def test_one_session_says_nothing_of_the_spread() -> None:
    found = similarity(BRIEF, WORDY, ["a"] * 4)
    assert found is not None
    assert (found.low, found.high) == (0.0, 1.0)


def test_another_voice_is_farther_than_the_same_on_other_matters() -> None:
    clusters = list("abcd")
    other_matters = [text.replace("late", "early").replace("order", "parcel") for text in BRIEF]
    same, foreign = similarity(BRIEF, other_matters, clusters), similarity(BRIEF, WORDY, clusters)
    assert same is not None
    assert foreign is not None
    assert same.low > foreign.high


def test_nouns_and_capitals_do_not_count_but_function_words_do() -> None:
    assert profile("Order W-1204 parcel ORDER").sum() == 1  # the hyphen
    assert profile("THE the The").tolist() == profile("the the the").tolist()
    assert profile("don’t")[FEATURES.index("don't")] == 1
    assert profile("the order,")[FEATURES.index(",")] == 1
    assert len(set(FEATURES)) == len(FEATURES)


def test_the_interval_is_the_jackknifes() -> None:
    """Against the textbook: n - 1 over n times the squared deviations of the estimates with one session left out."""
    clusters = list("aabc")
    ours, theirs = [profile(text) for text in BRIEF], [profile(text) for text in WORDY]

    def cosine(keep: str) -> float:
        a = sum(p for p, c in zip(ours, clusters, strict=True) if c in keep)
        b = sum(p for p, c in zip(theirs, clusters, strict=True) if c in keep)
        return float(np.sqrt(a / np.sum(a)) @ np.sqrt(b / np.sum(b)))

    left_out = np.array([cosine("bc"), cosine("ac"), cosine("ab")])
    error = np.sqrt(2 / 3 * ((left_out - left_out.mean()) ** 2).sum())
    found = similarity(BRIEF, WORDY, clusters)
    assert found is not None
    assert found.estimate == pytest.approx(cosine("abc"))
    assert found.low == pytest.approx(max(0.0, found.estimate - 4.302653 * error), rel=1e-5)
    assert found.high == pytest.approx(min(1.0, found.estimate + 4.302653 * error), rel=1e-5)
