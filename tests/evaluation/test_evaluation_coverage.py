"""The intervals hold the truth as often as they say, with few sessions and with unequal ones; simulated as in
`benchmarks/coverage.py`, whose table is in docs/evaluation.md."""

import importlib.util
import math
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
_SPEC = importlib.util.spec_from_file_location("coverage_benchmark", ROOT / "benchmarks" / "coverage.py")
assert _SPEC is not None
assert _SPEC.loader is not None
benchmark = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(benchmark)

SIMULATIONS = 400
LEAST = 0.95 - 3 * math.sqrt(0.95 * 0.05 / SIMULATIONS)


@pytest.mark.parametrize("sessions", [6, 12, 25, 50])
@pytest.mark.parametrize("kind", ["equal", "unequal"])
@pytest.mark.parametrize("quantity", ["mean", "loss", "rate of 85 %", "rate of 5 %", "paired difference"])
def test_an_interval_holds_the_truth(quantity: str, kind: str, sessions: int) -> None:
    assert benchmark.coverage(quantity, kind, sessions, SIMULATIONS)[0] >= LEAST


def test_what_other_intervals_would_miss() -> None:
    """The simulation can fail: those that take sessions for equally long, or for many, do."""
    held, by_cr1, by_percentiles = benchmark.coverage("loss", "unequal", 6, SIMULATIONS, others=True)
    assert held >= LEAST
    assert max(by_cr1, by_percentiles) < LEAST


def test_the_table_in_the_documentation_is_what_the_command_prints() -> None:
    """Its rows and columns; each figure within what fewer simulations can tell."""
    text = (ROOT / "docs" / "evaluation.md").read_text("utf-8")
    for quantity in benchmark.DRAWS:
        for kind in benchmark.SIZES:
            found = re.search(rf"^\| {re.escape(quantity)} \| {kind} \|(.*)\|$", text, re.MULTILINE)
            assert found, (quantity, kind)
            assert len(found[1].split("|")) == len(benchmark.SESSIONS)
    stated = re.search(r"^\| mean, by percentiles \| unequal \| ([\d.]+) ", text, re.MULTILINE)
    assert stated
    measured = benchmark.coverage("mean", "unequal", 6, SIMULATIONS, others=True)[2]
    assert abs(float(stated[1]) / 100 - measured) < 4 * np.sqrt(0.84 * 0.16 / SIMULATIONS)
