"""The estimate of what a quantized base has lost: steps seen in the weights, and a cost that grows with them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, dequantize, quantize
from safetensors.numpy import load_file, save_file
from small_models import many_rows

from locum.export.base_rounding import estimate, step_size, step_sizes
from locum.export.log_probabilities import cost_rows
from locum.runtime.scorer import Scorer
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.device import Device

EXACT = Device("cpu", "float32")


@pytest.mark.parametrize(("kind", "levels"), [("Q4_0", 16), ("Q4_1", 15), ("Q5_0", 32), ("Q5_1", 31)])
def test_the_step_is_that_of_the_type(kind: str, levels: int) -> None:
    weights = np.random.default_rng(1).normal(0, 0.02, (64, 256)).astype(np.float32)
    rounded = dequantize(quantize(weights, GGMLQuantizationType[kind]), GGMLQuantizationType[kind])
    blocks = weights.reshape(-1, 32)
    # Q4_0 and Q5_0 lay their levels from minus the largest value, the others from the smallest to the largest.
    span = 2 * np.abs(blocks).max(-1) if kind.endswith("0") else blocks.max(-1) - blocks.min(-1)
    assert step_size(rounded) == pytest.approx(float(np.sqrt(np.mean((span / levels) ** 2))), rel=0.1)
    # Moving by as much is an error of the size that rounding made.
    error = float(np.sqrt(np.mean((rounded - weights) ** 2)))
    assert step_size(rounded) / np.sqrt(12) == pytest.approx(error, rel=0.15)


def test_what_was_never_rounded_has_next_to_no_step() -> None:
    weights = np.random.default_rng(1).normal(0, 1, (64, 256)).astype(np.float32)
    assert step_size(weights) < 0.05
    assert step_size(np.zeros((4, 64), np.float32)) == 0.0
    assert step_size(np.ones((4, 8), np.float32)) == 0.0


def test_coarser_rounding_costs_more(tiny_base: Base, tiny_renderer: Renderer, tmp_path: Path) -> None:
    rows = cost_rows(tiny_renderer, many_rows())
    assert len(rows) > 4
    found = {}
    for kind in ("Q4_0", "Q8_0"):
        folder = tmp_path / kind
        shutil.copytree(tiny_base.folder, folder)
        state = load_file(folder / "model.safetensors")
        for name, value in state.items():
            if value.ndim == 2:
                state[name] = dequantize(quantize(value, GGMLQuantizationType[kind]), GGMLQuantizationType[kind])
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        assert step_sizes(folder).keys() == {name for name, value in state.items() if value.ndim == 2}
        with Scorer(None, folder, EXACT) as model:
            found[kind] = estimate(model, rows, folder)
        with Scorer(None, folder, EXACT) as model:
            assert estimate(model, rows, folder) == found[kind], "the same moves every time"
            assert estimate(model, [], folder) is None
    # A random model is at no minimum, so the sign is open; the size is not.
    assert abs(found["Q4_0"] or 0) > 3 * abs(found["Q8_0"] or 0)
