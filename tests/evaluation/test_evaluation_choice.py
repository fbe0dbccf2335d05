"""Skill is measured against the base rate, and cannot be had by knowing that alone."""

import math
import random

import numpy as np
import pytest
from loss_tables import table

from locum.evaluation.choice import choices, skill
from locum.evaluation.decision_slots import base_rate


def slots(right: dict[str, float]) -> dict[tuple[str, str], dict[str, object]]:
    """At every row one of two options, of which the base rate gives the agent's 0.7 or 0.3."""
    found: dict[tuple[str, str], dict[str, object]] = {}
    for arm, probability in right.items():
        for number in range(40):
            rate = 0.7 if number % 10 < 7 else 0.3
            # A model that knows the base rate alone says that; one that knows more is right beyond it.
            said = rate if math.isnan(probability) else probability
            found[arm, f"r{number}"] = {
                "decision": "comply" if rate > 0.5 else "defer",
                "options": 2,
                "format": 1.0,
                "choice": -math.log(said),
                "prior": -math.log(rate),
                "hit": said > 0.5,
                "prior_hit": rate > 0.5,
            }
    return found


def test_base_rates_alone_are_no_skill_and_knowing_more_is() -> None:
    rows = {f"r{number}": f"s{number // 4}" for number in range(40)}
    found = choices(table(rows, lambda *_: 1.0, slots=slots({"base": math.nan, "tuned": 0.9})))["reply"]
    assert found.skill["base"].estimate == pytest.approx(0.0, abs=1e-6)
    assert found.skill["tuned"].low > 0.5
    assert found.right["prior"].estimate == found.right["base"].estimate == pytest.approx(0.7)
    assert found.right["tuned-prior"].estimate == pytest.approx(0.3)
    assert (found.right["tuned"].rows, found.right["tuned"].sessions) == (40, 10)
    assert found.verified == 0
    assert choices(table(rows, lambda *_: 1.0)) == {}


def test_intervals_of_skill_cover_it() -> None:
    draw = random.Random(5)
    covered = 0
    for _ in range(300):
        choice, prior, lineages = [], [], []
        for session in range(15):
            easy = draw.gauss(0, 0.3)
            for _ in range(draw.randrange(1, 6)):
                prior.append(draw.choice((0.36, 1.2)))
                choice.append(max(0.01, 0.6 * prior[-1] * math.exp(easy + draw.gauss(0, 0.4) - 0.125)))
                lineages.append(str(session))
        found = skill(np.array(choice), np.array(prior), lineages)
        covered += found.low <= 0.4 <= found.high
    assert covered >= 0.91 * 300, f"{covered} of 300 nominal 95 % intervals cover"


def test_base_rates_are_over_the_options_open_there() -> None:
    counts = {"a": 8, "b": 1, "gone": 90}
    assert base_rate(counts, ["a", "b"], "a") == pytest.approx(8.5 / 10)
    assert base_rate(counts, ["a", "b", "new"], "new") == pytest.approx(0.5 / 10.5)
    assert sum(base_rate(counts, ["a", "b", "new"], label) for label in ("a", "b", "new")) == pytest.approx(1)
