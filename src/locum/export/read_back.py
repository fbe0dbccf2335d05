"""Reading a written model file back: every tensor must be the fused model's, within its type's rounding, and the end of
a turn training's."""

import math
from pathlib import Path

import msgspec
import numpy as np

from locum.errors import ExportError
from locum.training.chat_template import Renderer
from locum.training.gguf_base import hf_tensors, open_gguf
from locum.training.gguf_layout import tensor_names

WEIGHT_BOUNDS = {
    "F32": 1e-5, "F16": 2**-11, "BF16": 2**-8, "Q8_0": 0.023, "Q6_K": 0.055, "Q5_K": 0.11, "Q5_1": 0.12, "Q5_0": 0.13,
    "Q4_K": 0.22, "Q4_1": 0.24, "Q4_0": 0.26,
}  # fmt: skip
"""Largest relative error (root mean square) that rounding to a type may cause. Q8_0 rounds to 1/127 of the largest of
32 values: half of that, times the square root of 32 where one value is all there is, and its scale is a half float.
Below Q8_0, three times what normal values lose (tests/export measures it): a permuted head loses 1.4, a tensor at
twice its size 0.5."""


class WeightAgreement(msgspec.Struct, frozen=True):
    """How far a model file's tensors are from the fused model's."""

    tensors: int
    max_relative_error: float
    """Of the tensor that takes the largest part of its bound: root mean square of its error, as a share of its own."""
    bound: float
    """What the type of that tensor allows."""


def check_weights(model: Path, folder: Path) -> WeightAgreement:
    """Hold a model file's tensors against those of the folder that it was written from.

    Args:
        model: the `.gguf` file.
        folder: a Hugging Face model folder (`RUN/fused`).

    Raises:
        ExportError: a tensor is missing or off by more than its type's rounding; the worst one is named.
    """
    from safetensors import safe_open
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder)
    written = dict(hf_tensors(model, config))
    types = {tensor.name: tensor.tensor_type.name for tensor in open_gguf(model).tensors}
    kinds = {hf_name: types[gguf_name] for hf_name, gguf_name in tensor_names(config)}
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
    # The worst is the one that takes the largest part of what its type may lose.
    worst = max(errors, key=lambda name: errors[name] / WEIGHT_BOUNDS[kinds[name]])
    bound = WEIGHT_BOUNDS[kinds[worst]]
    if errors[worst] > bound:
        raise ExportError(
            f"the tensor {worst!r} of the model file is {errors[worst]:.1%} off the fused model's, more than rounding "
            f"to {kinds[worst]} can be ({bound:.1%}): the file was written wrong"
        )
    return WeightAgreement(tensors=len(errors), max_relative_error=errors[worst], bound=bound)


def check_end(model: Path, renderer: Renderer) -> None:
    """Hold the end of a turn that a model file names against training's.

    llama.cpp also knows some ends by their text (`<|im_end|>`, `<end_of_turn>`), where a wrong one would not show.

    Raises:
        ExportError: it names none, or another.
    """
    field = open_gguf(model).get_field("tokenizer.ggml.eot_token_id")
    named = None if field is None else int(field.contents())
    if named != renderer.end:
        token = renderer.tokenizer.convert_ids_to_tokens
        said = "no token" if named is None else repr(token(named))
        raise ExportError(
            f"the model file names {said} as the end of a turn, and training ends it with {token(renderer.end)!r}: "
            "the file was written wrong"
        )
