"""Reading a written model file back: every tensor must be the fused model's, within its type's rounding."""

import math
from pathlib import Path

import msgspec
import numpy as np

from locum.errors import ExportError
from locum.training.gguf_base import hf_tensors

WEIGHT_BOUNDS = {"F32": 1e-5, "F16": 2**-11, "BF16": 2**-8, "Q8_0": 0.023}
"""Largest relative error (root mean square) that rounding to a type can cause. Q8_0 rounds to 1/127 of the largest of
32 values: half of that, times the square root of 32 where one value is all there is, and its scale is a half float."""


class WeightAgreement(msgspec.Struct, frozen=True):
    """How far a model file's tensors are from the fused model's."""

    tensors: int
    max_relative_error: float
    """Root mean square of the worst tensor's error, as a share of its own root mean square."""
    bound: float


def check_weights(model: Path, folder: Path, quantization: str) -> WeightAgreement:
    """Hold a model file's tensors against those of the folder that it was written from.

    Args:
        model: the `.gguf` file.
        folder: a Hugging Face model folder (`RUN/fused`).
        quantization: the type of the file's matrices.

    Raises:
        ExportError: a tensor is missing or off by more than its type's rounding; the worst one is named.
    """
    from safetensors import safe_open
    from transformers import AutoConfig

    written = dict(hf_tensors(model, AutoConfig.from_pretrained(folder)))
    errors: dict[str, float] = {}
    for shard in sorted(folder.glob("*.safetensors")):
        with safe_open(shard, framework="np") as weights:
            for name in written.keys() & set(weights.keys()):
                wanted = weights.get_tensor(name).astype(np.float32)
                size = float(np.linalg.norm(wanted))
                error = float(np.linalg.norm(written[name] - wanted)) / (size or 1.0)
                # Not-a-number must not hide behind the comparisons below.
                errors[name] = math.inf if math.isnan(error) else error
    if missing := written.keys() - errors.keys():
        raise ExportError(f"the model file has the tensor {min(missing)!r}, which {str(folder)!r} does not hold")
    worst = max(errors, key=errors.__getitem__)
    bound = WEIGHT_BOUNDS[quantization]
    if errors[worst] > bound:
        raise ExportError(
            f"the tensor {worst!r} of the model file is {errors[worst]:.1%} off the fused model's, more than rounding "
            f"to {quantization} can be ({bound:.1%}): the file was written wrong"
        )
    return WeightAgreement(tensors=len(errors), max_relative_error=errors[worst], bound=bound)
