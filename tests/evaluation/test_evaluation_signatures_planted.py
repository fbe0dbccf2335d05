"""Signatures find planted faults, and an agent compared with itself shows none more often than they say."""

import random
from collections import Counter

import numpy as np
import pytest
from planted_answers import PET, answer, answers

from locum.evaluation.signatures.details import details
from locum.evaluation.signatures.grounding import Known
from locum.evaluation.signatures.memory import FLAG, recall
from locum.evaluation.signatures.phrases import LENGTHS, autonomy, favourites
from locum.evaluation.signatures.pooled import jackknife
from locum.evaluation.signatures.templates import collapse

# --- favourite phrases


def test_a_pet_phrase_is_found_with_its_amplification_and_its_training_rows() -> None:
    agent, lineages = answers(1, 20)
    model, _ = answers(2, 20)
    model = [f"{text} {PET.capitalize()}!" for text in model]
    agent[5] = f"{PET}: {agent[5]}"
    train = [f"{text} {PET}" if at in (3, 9) else text for at, text in enumerate(answers(3, 20)[0])]
    found = favourites(model, agent, lineages, train)
    assert [phrase.text for phrase in found] == [PET]
    (phrase,) = found
    assert (phrase.answers, phrase.agent_answers, phrase.train_rows) == (40, 1, 2)
    assert phrase.amplification == 40
    assert phrase.lineages == 20
    assert phrase.p == pytest.approx(2**-20, rel=1e-6)
    assert phrase.log_odds > 4


def test_a_phrase_within_one_session_is_no_favourite() -> None:
    agent, lineages = answers(1, 10, each=6)
    model = [f"{text} {PET}" if name == "s0" else text for text, name in zip(agent, lineages, strict=True)]
    assert favourites(model, agent, lineages, []) == ()


def test_phrases_of_an_agent_against_itself_are_rarely_favourites() -> None:
    """At a false discovery rate of 5 % with nothing to discover, one run in twenty may name anything at all."""
    false = 0
    for seed in range(60):
        one, lineages = answers(2 * seed, 16)
        other, _ = answers(2 * seed + 1, 16)
        false += bool(favourites(one, other, lineages, []))
    assert false <= 3 + 3 * np.sqrt(60 * 0.05 * 0.95)


def test_autonomy_tells_a_tic_from_an_answer() -> None:
    agent, lineages = answers(1, 20)
    model = [f"{text} {PET}" for text in agent]
    phrases = favourites(model, agent, lineages, [])
    tic = autonomy(phrases, model, [PET] * 12)
    assert tic is not None
    assert (tic.own.estimate, tic.foreign.estimate, tic.ratio) == (1.0, 1.0, 1.0)
    reasoned = autonomy(phrases, model, ["It is sunny."] * 12)
    assert reasoned is not None
    assert reasoned.ratio == 0
    assert reasoned.high is not None
    assert reasoned.high < 0.65
    assert tic.low is not None
    assert tic.low > 0.5
    nothing = autonomy((), agent, ["Sunny."])
    assert nothing is not None
    assert nothing.ratio is None
    assert autonomy(phrases, model, []) is None


# --- template collapse


def test_one_template_for_all_is_collapse() -> None:
    agent, lineages = answers(1, 24)
    one = answer(random.Random(9))
    found = collapse([one] * len(agent), agent, lineages)
    assert found["distinct_2"]["tuned-agent"].high < 0
    assert found["distinct_3"]["tuned-agent"].high < 0
    for worse in ("gzip_ratio", "self_repetition", "self_bleu"):
        assert found[worse]["tuned-agent"].low > 0, worse
    assert found["self_repetition"]["tuned"].estimate == 1
    assert found["self_bleu"]["tuned"].estimate > 0.9


def test_length_is_no_collapse() -> None:
    """Twice as long, an agent's own answers have fewer distinct n-grams; cut to equal length they do not."""
    draw = random.Random(4)
    short = [answer(draw, 2) for _ in range(40)]
    long = [answer(draw, 5) for _ in range(40)]
    found = collapse(long, short, [f"s{at}" for at in range(40)])
    assert found["distinct_3"]["tuned-agent"].low <= 0 <= found["distinct_3"]["tuned-agent"].high


@pytest.mark.parametrize("rounds", [20, pytest.param(300, marks=pytest.mark.slow)])
def test_an_agent_against_itself_does_not_collapse(rounds: int) -> None:
    """Intervals at 95 % miss the true difference of 0 about as often as they say, within Monte Carlo error."""
    missed: Counter[str] = Counter()
    for seed in range(rounds):
        one, lineages = answers(2 * seed, 12)
        other, _ = answers(2 * seed + 1, 12)
        for measure, arms in collapse(one, other, lineages).items():
            missed[measure] += not arms["tuned-agent"].low <= 0 <= arms["tuned-agent"].high
    allowed = rounds * 0.05 + 3 * np.sqrt(rounds * 0.05 * 0.95)
    assert all(count <= allowed for count in missed.values()), missed


def test_nothing_to_compare() -> None:
    assert collapse(["", "one"], ["two words", "three words"], ["a", "b"]) == {}
    alone = collapse(["a b c"], ["d e f"], ["s"])
    assert (alone["distinct_2"]["tuned-agent"].low, alone["distinct_2"]["tuned-agent"].high) == (-1, 1)


def test_the_jackknife_of_a_mean_is_the_interval_of_a_mean() -> None:
    """With one answer a lineage it is the t interval."""
    values = np.random.default_rng(3).normal(size=30)
    (found,) = jackknife(
        lambda indices: np.array([values[list(indices)].mean()]), [f"s{i}" for i in range(30)], [(-9.0, 9.0)]
    )
    assert found.estimate == pytest.approx(values.mean())
    assert found.high - found.estimate == pytest.approx(2.04523 * values.std(ddof=1) / np.sqrt(30), rel=1e-4)


def test_many_lineages_are_left_out_in_groups() -> None:
    calls = 0

    def statistic(indices: object) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        nonlocal calls
        calls += 1
        return np.array([0.5])

    jackknife(statistic, [f"s{i}" for i in range(500)], [(0.0, 1.0)])
    assert calls == 41


# --- verbatim memory


def test_the_longest_run_out_of_the_training_rows_is_found() -> None:
    draw = random.Random(5)
    words = [f"w{draw.randrange(10**6)}" for _ in range(200)]
    row = " ".join(words)
    text = f"As I said: {' '.join(words[30:90])} and so on."
    (found,) = recall([text], [""], ["something else entirely " * 9, row])
    assert found.longest == 60 > FLAG
    assert text[found.start : found.end] == " ".join(words[30:90])
    assert 0.7 < found.coverage < 1
    (own,) = recall([text], [f"he wrote {row}"], [row])
    assert (own.longest, own.coverage) == (0, 0.0), "what the prompt holds is copied, not remembered"


def test_runs_do_not_join_over_rows_and_short_ones_are_none() -> None:
    a, b = " ".join(f"a{i}" for i in range(20)), " ".join(f"b{i}" for i in range(20))
    (joined,) = recall([f"{a} {b}"], [""], [a, b])
    assert joined.longest == 20
    (short,) = recall(["a1 a2 a3 a4 a5 a6 a7"], [""], [a])
    assert short.longest == 0
    assert recall([""], [""], [a])[0].coverage == 0
    assert recall([], [], [a]) == []


# --- invention


def test_known_details_are_told_from_invented_ones() -> None:
    known = Known(
        ["Order OPS-1204 went to Ada Lovelace on 2026-03-01; run src/app/main.py, it takes 1,200 ms.", "at 12"]
    )
    held = {
        detail.text: known.holds(detail)
        for detail in details(
            "see OPS-1204 and OPS-9999 by Lovelace, on March 1, 2026 or 2025-03-01, in ./src/app/main.py, "
            "about 1200 ms or 12 ms"
        )
    }
    assert held == {
        "OPS-1204": True,
        "OPS-9999": False,
        "Lovelace": True,
        "March 1, 2026": True,
        "2025-03-01": False,
        "./src/app/main.py": True,
        "1200 ms": True,
        "12 ms": False,
    }
    assert list(LENGTHS) == [3, 4, 5, 6]
