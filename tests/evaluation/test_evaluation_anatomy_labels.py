"""Labels of curves: what is planted is found, and what is not there is called by name no more often than stated."""

from collections import Counter

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from locum.evaluation import nll
from locum.evaluation.anatomy.curves import Curve, choice_curves, class_curves, family_curves, from_base_rate
from locum.evaluation.anatomy.labels import memory, respond

STEPS = (0, 1, 2, 4, 8, 16, 32, 64)
TIME = np.array(STEPS) / 64
SHAPES = {
    "valley": -0.8 * (1 - np.exp(-TIME * 20)),
    "slope": -0.8 * TIME,
    "plateau": 0 * TIME,
    "hill": -0.5 * (1 - np.exp(-TIME * 30)) + 0.5 * np.clip(TIME - 0.2, 0, 1),
    "late": -0.8 / (1 + np.exp(-40 * (TIME - 0.35))),
}


def planted(shape: NDArray[np.float64], sessions: int, seed: int, tokens: int = 40) -> Curve:
    """Sessions that differ in how hard they are, in how much they gain, and from one checkpoint to the next."""
    random = np.random.default_rng(seed)
    losses = (
        2
        + random.normal(0, 0.35, size=sessions)
        + shape[:, None] * random.normal(1, 0.3, size=sessions)
        + random.normal(0, 0.08, size=(len(STEPS), sessions)) * np.minimum(1, TIME * 4)[:, None]
    )
    return Curve("planted", STEPS, losses, sessions * tokens)


def labels(kind: str, sessions: int, times: int = 200) -> Counter[str]:
    return Counter(respond(planted(SHAPES[kind], sessions, seed)).label for seed in range(times))


@pytest.mark.parametrize("kind", ["valley", "slope", "plateau", "hill"])
def test_what_is_planted_is_found(kind: str) -> None:
    assert labels(kind, 25)[kind] >= 190


def test_a_class_that_moves_by_the_margin_itself_is_called_a_plateau_no_more_often_than_stated() -> None:
    # At the edge of the margin the two one-sided tests err in 5 % of cases; 4 standard errors of 400 simulations: 4.4.
    edge = -0.1 * (1 - np.exp(-TIME * 20))
    edge *= 0.1 / -edge[-1]
    found = Counter(respond(planted(edge, 25, seed)).label for seed in range(400))
    assert found["plateau"] <= 400 * 0.05 + 18
    assert found["valley"] + found["slope"] <= 400 * 0.05 + 18


def test_nothing_is_called_a_valley_that_does_not_fall() -> None:
    assert labels("plateau", 8)["valley"] == labels("plateau", 8)["slope"] == 0
    assert labels("plateau", 8)["hill"] <= 200 * 0.05 + 12


def test_a_fall_that_comes_late_is_no_valley() -> None:
    assert labels("late", 25)["valley"] == 0


@pytest.mark.parametrize(("sessions", "tokens"), [(7, 400), (20, 9)])
def test_few_sessions_or_tokens_leave_a_class_undetermined(sessions: int, tokens: int) -> None:
    response = respond(planted(SHAPES["valley"], sessions, 0, tokens))
    assert response.label == "undetermined"
    assert f"{tokens * sessions} tokens of {sessions} sessions" in response.why


def test_one_session_has_no_interval() -> None:
    response = respond(planted(SHAPES["valley"], 1, 0))
    assert (response.label, response.drop) == ("undetermined", None)


def test_the_gap_of_memory_is_what_training_rows_fell_further() -> None:
    held_out, trained = planted(SHAPES["valley"], 40, 1), planted(SHAPES["valley"] * 2, 60, 2)
    gap = memory(held_out, trained)
    assert gap is not None
    assert gap.low < 0.8 < gap.high
    assert memory(planted(SHAPES["valley"], 1, 0), trained) is None


def table(rows: int = 3) -> pl.DataFrame:
    """A table of two classes and two checkpoints: words fall by 1, numbers by 0."""
    lines = [
        {"row": f"r{row}", "lineage": f"s{row}", "family": "reply", "context": context, "step": step, "class": name}
        | {
            "loss": 2.0 - (step > 0) * (name == "word") + row / 10,
            "choice": 0.5 if name == "verdict" and context == "own" else None,
        }
        for row in range(rows)
        for context in ("own", "other_1")
        for step in (0, 10)
        for name in ("word", "word", "verdict")
    ]
    return nll.together([pl.DataFrame(lines).select(_column(name) for name in nll.SCHEMA)])


def _column(name: str) -> pl.Expr:
    known = ("row", "lineage", "family", "context", "step", "class", "loss", "choice")
    return (pl.col(name) if name in known else pl.lit(None)).cast(nll.SCHEMA[name]).alias(name)


def test_curves_hold_each_session_alike_and_the_rows_own_context_alone() -> None:
    curves = {curve.name: curve for curve in class_curves(table())}
    assert set(curves) == {"all", "word", "verdict"}
    assert curves["word"].steps == (0, 10)
    assert curves["word"].tokens == 6
    np.testing.assert_allclose(curves["word"].losses, [[2.0, 2.1, 2.2], [1.0, 1.1, 1.2]], atol=1e-6)
    np.testing.assert_allclose(curves["all"].means, [2.1, 2.1 - 2 / 3], atol=1e-6)
    (family,) = family_curves(table())
    assert (family.name, family.tokens) == ("reply", 9)


def test_curves_of_choice_are_of_the_slots_alone() -> None:
    (curve,) = choice_curves(table())
    assert curve.tokens == 3
    np.testing.assert_allclose(curve.losses, 0.5)


@pytest.mark.parametrize(("base", "prior", "tuned", "label"), [(3.0, 1.4, 1.4, "plateau"), (3.0, 1.4, 0.3, "valley")])
def test_a_choice_that_falls_to_its_base_rate_is_not_learned(
    base: float, prior: float, tuned: float, label: str
) -> None:
    random = np.random.default_rng(2)
    lines = []
    for session in range(20):
        hard = random.normal(0, 0.1)
        for step in (0, 1, 2, 4, 8):
            line = dict.fromkeys(nll.SCHEMA) | {"row": f"r{session}", "lineage": f"s{session}", "context": "own"}
            choice = (base if step == 0 else tuned) + hard + random.normal(0, 0.02)
            lines.append(line | {"family": "reply", "step": step, "loss": 1.0, "choice": choice, "prior": prior + hard})
    table = pl.DataFrame(lines, schema=nll.SCHEMA)
    (curve,) = choice_curves(from_base_rate(table))
    assert curve.means[0] == pytest.approx(min(base, prior), abs=0.1)
    assert respond(curve, "decisions", 20).label == label
    # A base that knows more than the base rate is not credited with it.
    (known,) = choice_curves(from_base_rate(table.with_columns(prior=pl.lit(9.0, pl.Float32))))
    assert known.means[0] == pytest.approx(base, abs=0.1)
