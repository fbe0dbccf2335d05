"""The split into type and instance is exact, and tells manner from judgement."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_tables import table

from locum.evaluation import nll
from locum.evaluation.gains import by_token, gains
from locum.evaluation.token_classes import CLASSES

ROWS = {f"r{number}": f"s{number // 2}" for number in range(8)}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_total_is_type_and_instance_in_every_class(seed: int) -> None:
    def losses(arm: str, row: str, context: str, position: int) -> float:
        return hash((seed, arm, row, context, position)) % 9973 / 1000

    found = gains(table(ROWS, losses, classes=("verdict", "other", "argument_copied")))
    assert found is not None
    assert found.headline is not None
    assert found.headline.tokens == 16
    assert found.all.tokens == 24
    for gain in (found.headline, found.all, *found.classes.values(), *found.families.values()):
        assert gain.total.estimate == pytest.approx(gain.type.estimate + gain.instance.estimate, abs=1e-6)
    weighed = sum(gain.tokens * gain.total.estimate for gain in found.classes.values())
    assert weighed == pytest.approx(found.all.tokens * found.all.total.estimate, abs=1e-6)


def test_what_falls_under_any_prompt_is_type() -> None:
    found = gains(table(ROWS, lambda arm, row, context, position: 2.0 - (arm == "tuned") * (1 + position)))
    assert found is not None
    for class_, fall in (("verdict", 1.0), ("other", 2.0)):
        assert found.classes[class_].type.estimate == pytest.approx(fall)
        assert found.classes[class_].instance.estimate == pytest.approx(0.0, abs=1e-6)
        assert found.classes[class_].type_none is not None


def test_what_only_the_own_prompt_gives_is_instance() -> None:
    found = gains(table(ROWS, lambda arm, row, context, position: 2.0 - (arm == "tuned" and context == "own")))
    assert found is not None
    assert found.headline is not None
    assert found.headline.instance.estimate == pytest.approx(1.0)
    assert found.headline.type.estimate == pytest.approx(0.0, abs=1e-6)
    assert (found.headline.instance.rows, found.headline.instance.sessions) == (8, 4)


def test_rows_without_donors_are_counted_and_left_out() -> None:
    alone = table({"x": "s9"}, lambda *_: 1.0, contexts=("own", "none"))
    assert gains(alone) is None
    found = gains(pl.concat([alone, table(ROWS, lambda *_: 1.0)]))
    assert found is not None
    assert (found.rows, found.too_few, found.donors) == (8, 1, 4)
    assert gains(nll.empty()) is None
    assert by_token(nll.empty()).is_empty()


def test_the_table_comes_back_as_it_was_written_and_stays_small(tmp_path: Path) -> None:
    written = table({f"{number:064}": f"{number:064}" for number in range(60)}, lambda *_: 1.5)
    nll.write(written, tmp_path / "nll.parquet")
    assert nll.read(tmp_path / "nll.parquet").equals(written)
    assert (tmp_path / "nll.parquet").stat().st_size < 40 * len(written)


def test_classes_are_in_the_order_in_which_they_claim() -> None:
    assert CLASSES[0] == "template"
    assert CLASSES[-1] == "other"
    assert len(set(CLASSES)) == len(CLASSES)
