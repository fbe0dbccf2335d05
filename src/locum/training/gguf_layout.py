"""Where each weight of a model stands in a GGUF file, and in which order its numbers lie there.

The tables of names are the `gguf` package's; the layouts are those of llama.cpp's convert_hf_to_gguf.py
(https://github.com/ggml-org/llama.cpp/tree/master/conversion).
"""

from typing import TYPE_CHECKING

from locum.errors import BaseError
from locum.training.gguf_config import Array, architecture_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def tensor_names(config: "PretrainedConfig") -> list[tuple[str, str]]:
    """(transformers' name, GGUF name) of every tensor of a causal language model with this config."""
    import torch
    from gguf import MODEL_ARCH, get_tensor_name_map
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        module = AutoModelForCausalLM.from_config(config)
    names = get_tensor_name_map(MODEL_ARCH[architecture_of(config).upper()], int(config.num_hidden_layers))
    pairs = []
    for hf_name in module.state_dict():
        if hf_name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        gguf_name = names.get_name(hf_name, try_suffixes=(".weight", ".bias"))
        if gguf_name is None:
            raise BaseError(f"the tensor {hf_name!r} has no place in a GGUF file of a {config.model_type} model")
        pairs.append((hf_name, gguf_name))
    return pairs


def permuted_heads(hf_name: str, config: "PretrainedConfig") -> int | None:
    """Heads by which a llama projection's rows are permuted in GGUF (its rotary layout); None: not permuted."""
    if architecture_of(config) != "llama":
        return None
    if ".q_proj." in hf_name:
        return int(config.num_attention_heads)
    if ".k_proj." in hf_name:
        return int(config.num_key_value_heads)
    return None


def _norm_offset(hf_name: str, config: "PretrainedConfig") -> float:
    """Gemma multiplies by one plus the weight; llama.cpp's files hold the sum."""
    return 1.0 if architecture_of(config).startswith("gemma") and hf_name.endswith("norm.weight") else 0.0


def to_gguf_layout(hf_name: str, array: Array, config: "PretrainedConfig") -> Array:
    """Transformers' layout to GGUF's: llama's rotary halves interleaved, Gemma's norms with their one added."""
    heads = permuted_heads(hf_name, config)
    if heads is not None:
        return array.reshape(heads, 2, -1, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
    offset = _norm_offset(hf_name, config)
    return array + offset if offset else array


def from_gguf_layout(hf_name: str, array: Array, config: "PretrainedConfig") -> Array:
    """The inverse of `to_gguf_layout`."""
    heads = permuted_heads(hf_name, config)
    if heads is not None:
        return array.reshape(heads, -1, 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
    offset = _norm_offset(hf_name, config)
    return array - offset if offset else array
