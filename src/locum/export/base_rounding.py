"""What a base that exists only quantized has lost, estimated on the model itself.

The weights before rounding are gone, so the loss cannot be measured, but one of the same size can be caused: rounding
moved every weight by up to half a step between two values of its block, and moving each once more, at random by as
much, raises the held-out loss by about what the first move did (near a minimum both are half the curvature times the
variance of the move; the expansion is LeCun et al. 1990, "Optimal Brain Damage").
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from locum.training.chat_template import Encoded

Array = npt.NDArray[np.float32]
_BLOCK = 32
"""Weights that share a step, in the types of 4 to 8 bits: so many or fewer."""
_SAMPLE = 4096


class Disturbable(Protocol):
    """A model in torch whose weights can be moved at random."""

    def disturb(self, sizes: Mapping[str, float], seed: int) -> None:
        """Move every weight of the named tensors by up to half of its size, either way, evenly at random."""
        ...

    def score(self, rows: Sequence[Encoded]) -> list[npt.NDArray[np.float32]]:
        """Negative log-likelihood in nats of every response token of every row."""
        ...


def step_size(weights: Array) -> float:
    """Root mean square, over blocks, of the smallest difference between two weights of a block.

    Args:
        weights: [rows, columns] of a tensor that was dequantized. At most 4,096 blocks are looked at, evenly spread.
    """
    whole = weights.shape[-1] // _BLOCK * _BLOCK
    blocks = weights[:, :whole].reshape(-1, _BLOCK)
    blocks = np.sort(blocks[:: max(1, len(blocks) // _SAMPLE)], axis=-1)
    if not blocks.size:
        return 0.0
    spread = blocks[:, -1:] - blocks[:, :1]
    gaps = np.diff(blocks, axis=-1)
    # Weights that rounding made equal differ by the arithmetic's own rounding at most.
    smallest = np.where(gaps > spread * 1e-4, gaps, np.inf).min(axis=-1)
    found = smallest[np.isfinite(smallest)]
    return float(np.sqrt(np.mean(np.square(found, dtype=np.float64)))) if found.size else 0.0


def step_sizes(folder: Path) -> dict[str, float]:
    """The step of every matrix in a base's folder, by name."""
    from safetensors import safe_open

    sizes: dict[str, float] = {}
    for shard in sorted(folder.glob("*.safetensors")):
        with safe_open(shard, framework="np") as weights:
            for name in weights.keys():  # noqa: SIM118 - safe_open is no mapping
                if len(weights.get_slice(name).get_shape()) == 2:
                    sizes[name] = step_size(weights.get_tensor(name).astype(np.float32))
    return sizes


def estimate(model: Disturbable, rows: Sequence[Encoded], folder: Path, seed: int = 0) -> float | None:
    """The estimate in nats per token, from what moving the weights costs on `rows`; None where there is no row.

    Args:
        model: the fused model; its weights are moved.
        rows: held-out rows.
        folder: the base's, whose weights show the steps.
        seed: of the moves.
    """
    tokens = sum(len(row.tokens) - row.response_start for row in rows)
    if not tokens:
        return None
    before = float(sum(losses.sum() for losses in model.score(rows)))
    model.disturb(step_sizes(folder), seed)
    return (float(sum(losses.sum() for losses in model.score(rows))) - before) / tokens
