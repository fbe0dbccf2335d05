"""The settings of a model in its two spellings: a GGUF file's metadata, and transformers' config.json.

Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; what llama.cpp reads of them and what it assumes where
one is missing: `src/models/*.cpp` there. A setting that the engine cannot follow is refused, never left out: a model
served with another rotation or another mask than it was trained with answers, only worse.
"""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from locum.errors import BaseError

if TYPE_CHECKING:
    from gguf import GGUFWriter
    from transformers import PretrainedConfig

Array = npt.NDArray[np.float32]

ARCHITECTURES = {
    "llama": "llama",
    "mistral": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma2": "gemma2",
    "gemma3_text": "gemma3",
    "phi3": "phi3",
}
"""`model_type` of the bases that Locum trains, exports and serves -> the architecture's name in a GGUF file."""

CAUSAL_LM = {
    "llama": ("llama", "LlamaForCausalLM"),
    "qwen2": ("qwen2", "Qwen2ForCausalLM"),
    "qwen3": ("qwen3", "Qwen3ForCausalLM"),
    "gemma2": ("gemma2", "Gemma2ForCausalLM"),
    "gemma3": ("gemma3_text", "Gemma3ForCausalLM"),
    "phi3": ("phi3", "Phi3ForCausalLM"),
}
"""A GGUF file's architecture -> transformers' `model_type` and class."""

_GEMMA_SPECIAL_DEPTH = {"gemma2": 46, "gemma3_text": 62}
"""Layers of the one size whose attention llama.cpp scales by the hidden size over the heads, not by the head's size."""
_GEMMA_PATTERN = {"gemma2": 2, "gemma3_text": 6}
"""Every so many layers one sees everything; the others see a window."""
_GEMMA3_WINDOW_THETA = 10_000.0


def architecture_of(config: "PretrainedConfig") -> str:
    """The GGUF architecture of a model with this config."""
    return ARCHITECTURES[str(config.model_type)]


def context_length(config: "PretrainedConfig") -> int:
    """Tokens up to which the engine computes what transformers computes.

    llama.cpp gives llama and phi3 shapes no sliding window, and chooses between long and short rotary factors by the
    window it was opened with instead of by the text: within these lengths neither shows.
    """
    longest = int(config.max_position_embeddings)
    window = getattr(config, "sliding_window", None)
    if window and config.model_type in ("mistral", "phi3"):
        longest = min(longest, int(window))
    if _rope(config).get("rope_type") == "longrope":
        longest = min(longest, _original_length(config))
    return longest


def head_size(config: "PretrainedConfig") -> int:
    """Values of one attention head."""
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def describe(writer: "GGUFWriter", config: "PretrainedConfig") -> None:
    """Write the architecture's keys for a model with this config.

    Raises:
        BaseError: a setting that llama.cpp cannot follow.
    """
    _require_servable(config)
    size = head_size(config)
    writer.add_context_length(context_length(config))
    writer.add_embedding_length(int(config.hidden_size))
    writer.add_block_count(int(config.num_hidden_layers))
    writer.add_feed_forward_length(int(config.intermediate_size))
    writer.add_head_count(int(config.num_attention_heads))
    writer.add_head_count_kv(int(config.num_key_value_heads))
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_layer_norm_rms_eps(float(config.rms_norm_eps))
    writer.add_vocab_size(int(config.vocab_size))
    rope = _rope(config)
    writer.add_rope_dimension_count(int(size * float(rope.get("partial_rotary_factor", 1.0))))
    writer.add_rope_freq_base(float(rope.get("rope_theta", 10_000.0)))
    _describe_scaling(writer, config, rope)
    window = getattr(config, "sliding_window", None)
    if config.model_type == "phi3":
        writer.add_sliding_window(int(window or 0))
        writer.add_rope_scaling_orig_ctx_len(_original_length(config))
    if config.model_type in _GEMMA_PATTERN:
        writer.add_sliding_window(int(window or 0))
        if config.attn_logit_softcapping:
            writer.add_attn_logit_softcapping(float(config.attn_logit_softcapping))
        if config.final_logit_softcapping:
            writer.add_final_logit_softcapping(float(config.final_logit_softcapping))
    if config.model_type == "gemma3_text":
        writer.add_rope_freq_base_swa(float(config.rope_parameters["sliding_attention"]["rope_theta"]))


def _describe_scaling(writer: "GGUFWriter", config: "PretrainedConfig", rope: Mapping[str, Any]) -> None:
    from gguf import RopeScalingType

    kind = rope.get("rope_type", "default")
    if kind == "linear":
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(rope["factor"]))
    elif kind == "yarn":
        writer.add_rope_scaling_type(RopeScalingType.YARN)
        writer.add_rope_scaling_factor(float(rope["factor"]))
        writer.add_rope_scaling_orig_ctx_len(_original_length(config))
    elif kind == "longrope":
        writer.add_rope_scaling_attn_factors(_long_attention_factor(config))


def _rope(config: "PretrainedConfig") -> dict[str, Any]:
    """Rotary settings (of the layers that see everything, where windowed layers have their own)."""
    rope = config.rope_parameters or {}
    return dict(rope.get("full_attention", rope))


def _original_length(config: "PretrainedConfig") -> int:
    rope = _rope(config)
    found = rope.get("original_max_position_embeddings") or getattr(config, "original_max_position_embeddings", None)
    return int(found or config.max_position_embeddings)


def _long_attention_factor(config: "PretrainedConfig") -> float:
    """By how much longrope scales sines and cosines (arXiv:2402.13753; by default as transformers)."""
    given = _rope(config).get("attention_factor")
    if given:
        return float(given)
    original = _original_length(config)
    factor = float(config.max_position_embeddings) / original
    return math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0


def _require_servable(config: "PretrainedConfig") -> None:
    """Refuse what llama.cpp computes otherwise than transformers, or not at all."""
    model_type, rope = str(config.model_type), _rope(config)
    kind = rope.get("rope_type", "default")
    known = {"default", "linear", "yarn"}
    known |= {"llama": {"llama3"}, "mistral": {"llama3"}, "phi3": {"longrope"}}.get(model_type, set())
    if kind not in known:
        raise BaseError(
            f"the base scales its rotary positions by {kind!r}, which llama.cpp does not do for {model_type}; "
            "choose another base"
        )
    if kind == "yarn" and set(rope) - {"rope_type", "rope_theta", "factor", "original_max_position_embeddings"}:
        odd = {key: value for key, value in rope.items() if not _is_yarn_default(key, value, rope)}
        if odd:
            raise BaseError(f"the base's yarn settings {odd} have no place in a GGUF file; choose another base")
    if getattr(config, "use_sliding_window", False):
        raise BaseError("the base attends within a window in some layers, which llama.cpp does not do for it")
    if model_type in _GEMMA_PATTERN:
        _require_servable_gemma(config)
    elif getattr(config, "hidden_act", "silu") not in ("silu", "swish"):
        raise BaseError(f"the base uses {config.hidden_act!r} in its layers, which llama.cpp does not do for it")


_YARN_DEFAULTS = {"beta_fast": 32, "beta_slow": 1, "truncate": True, "mscale": None, "mscale_all_dim": None}


def _is_yarn_default(key: str, value: Any, rope: Mapping[str, Any]) -> bool:
    if key == "attention_factor":
        return value is None or math.isclose(value, 0.1 * math.log(rope["factor"]) + 1, rel_tol=1e-6)
    if key == "partial_rotary_factor":
        return bool(value == 1.0)
    return bool(key not in _YARN_DEFAULTS or value is None or value == _YARN_DEFAULTS[key])


def _require_servable_gemma(config: "PretrainedConfig") -> None:
    model_type, layers = str(config.model_type), int(config.num_hidden_layers)
    if int(config.query_pre_attn_scalar) != _gemma_scale(config.to_dict()):
        raise BaseError(
            f"the base scales attention by {config.query_pre_attn_scalar}, where llama.cpp uses "
            f"{_gemma_scale(config.to_dict())}; choose another base"
        )
    every = _GEMMA_PATTERN[model_type]
    expected = ["sliding_attention" if (layer + 1) % every else "full_attention" for layer in range(layers)]
    if list(config.layer_types) != expected:
        raise BaseError(f"the base's windowed layers do not follow {model_type}'s pattern; choose another base")
    if getattr(config, "use_bidirectional_attention", None):
        raise BaseError("the base attends in both directions: it is no model that writes text; choose another base")
    if config.hidden_activation != "gelu_pytorch_tanh":
        raise BaseError(f"the base uses {config.hidden_activation!r} in its layers, which llama.cpp does not do for it")
    if model_type == "gemma3_text" and config.attn_logit_softcapping:
        raise BaseError("the base caps its attention scores, which llama.cpp does not do for gemma3")
    if model_type == "gemma2" and not (config.attn_logit_softcapping and config.final_logit_softcapping):
        raise BaseError("the base caps no scores, which llama.cpp always does for gemma2; choose another base")


def _gemma_scale(config: Mapping[str, Any]) -> int:
    if int(config["num_hidden_layers"]) == _GEMMA_SPECIAL_DEPTH[str(config["model_type"])]:
        return int(config["hidden_size"]) // int(config["num_attention_heads"])
    return int(config["head_dim"])


# --- rotary factors, which GGUF holds as tensors


def rope_tensors(config: "PretrainedConfig") -> list[tuple[str, Array]]:
    """(GGUF name, values) of the tensors by which llama.cpp divides rotary frequencies; none where it divides none."""
    rope = _rope(config)
    if rope.get("rope_type") == "llama3":
        return [("rope_freqs.weight", _llama3_factors(head_size(config), rope))]
    if rope.get("rope_type") == "longrope":
        return [
            ("rope_factors_long.weight", np.array(rope["long_factor"], np.float32)),
            ("rope_factors_short.weight", np.array(rope["short_factor"], np.float32)),
        ]
    return []


def _llama3_factors(size: int, rope: Mapping[str, Any]) -> Array:
    """Llama 3.1's scaling, a factor for each pair of a head: none for high frequencies, `factor` for low ones."""
    low, high, factor = float(rope["low_freq_factor"]), float(rope["high_freq_factor"]), float(rope["factor"])
    lengths = 2 * math.pi * float(rope["rope_theta"]) ** (np.arange(0, size, 2, dtype=np.float64) / size)
    turns = float(rope["original_max_position_embeddings"]) / lengths
    smooth = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)


_LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
"""Of every Llama 3 there is; they differ in the factor."""


def _llama3_settings(factors: Array, theta: float) -> dict[str, Any]:
    """The settings that made a file's rotary factors, which are all that the file holds of them."""
    rope = {"rope_type": "llama3", "rope_theta": theta, "factor": float(factors.max()), **_LLAMA3}
    if not np.allclose(_llama3_factors(2 * len(factors), rope), factors, rtol=1e-4):
        raise BaseError("the file's rotary factors are of no Llama 3 that Locum knows; choose another base")
    return rope


# --- from a file to config.json


def config_from_gguf(
    read: Callable[[str], Any], shapes: Mapping[str, tuple[int, ...]], rope_factors: Mapping[str, Array]
) -> dict[str, Any]:
    """config.json of a GGUF file.

    Args:
        read: the value of a metadata key, None where the file lacks it.
        shapes: each tensor's shape by its name, rows first.
        rope_factors: the file's `rope_*` tensors.

    Raises:
        BaseError: the file lacks what its architecture needs, or says what transformers cannot follow.
    """
    arch = str(read("general.architecture"))

    def own(key: str, default: Any = None) -> Any:
        found = read(f"{arch}.{key}")
        if found is None and default is None:
            raise BaseError(f"the file lacks {arch}.{key}: it is no whole model; fetch it again")
        if isinstance(found, list):
            raise BaseError(f"the file gives each layer its own {arch}.{key}, which Locum cannot train")
        return default if found is None else found

    model_type, causal_lm = CAUSAL_LM[arch]
    embedding = shapes.get("token_embd.weight")
    if embedding is None:
        raise BaseError("the file lacks the tensor 'token_embd.weight': it is no whole model; fetch it again")
    heads, hidden, layers = int(own("attention.head_count")), int(own("embedding_length")), int(own("block_count"))
    size = int(own("attention.key_length", hidden // heads))
    config: dict[str, Any] = {
        "architectures": [causal_lm],
        "model_type": model_type,
        "vocab_size": int(embedding[0]),
        "hidden_size": hidden,
        "intermediate_size": int(own("feed_forward_length")),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": int(own("attention.head_count_kv", heads)),
        "head_dim": size,
        "max_position_embeddings": int(own("context_length")),
        "rms_norm_eps": float(own("attention.layer_norm_rms_epsilon")),
        "tie_word_embeddings": "output.weight" not in shapes,
        "rope_parameters": _rope_from_gguf(arch, own, size, rope_factors),
        "dtype": "float32",
    }
    if "blk.0.attn_q.bias" in shapes and arch in ("llama", "qwen3"):
        config["attention_bias"] = True
    if "blk.0.ffn_up.bias" in shapes and arch == "llama":
        config["mlp_bias"] = True
    if arch == "phi3":
        window = int(own("attention.sliding_window", 0))
        config["sliding_window"] = window or None
        config["original_max_position_embeddings"] = int(
            own("rope.scaling.original_context_length", config["max_position_embeddings"])
        )
    if arch.startswith("gemma"):
        config["sliding_window"] = int(own("attention.sliding_window", 4096))
        config["query_pre_attn_scalar"] = _gemma_scale(config)
        soft = {"gemma2": (50.0, 30.0), "gemma3": (0.0, 0.0)}[arch]
        config["attn_logit_softcapping"] = float(own("attn_logit_softcapping", soft[0])) or None
        config["final_logit_softcapping"] = float(own("final_logit_softcapping", soft[1])) or None
    if arch == "gemma3":
        full = config["rope_parameters"]
        theta = float(own("rope.freq_base_swa", _GEMMA3_WINDOW_THETA))
        config["rope_parameters"] = {
            "full_attention": full,
            "sliding_attention": {"rope_type": "default", "rope_theta": theta},
        }
    for name in ("bos", "eos"):
        config[f"{name}_token_id"] = read(f"tokenizer.ggml.{name}_token_id")
    config["pad_token_id"] = read("tokenizer.ggml.padding_token_id")
    return config


def _rope_from_gguf(arch: str, own: Callable[..., Any], size: int, factors: Mapping[str, Array]) -> dict[str, Any]:
    theta = float(own("rope.freq_base", 10_000.0))
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": theta}
    rotated = int(own("rope.dimension_count", size))
    if rotated != size:
        if arch != "phi3":
            raise BaseError(f"the file rotates {rotated} of a head's {size} values, which {arch} does not do")
        rope["partial_rotary_factor"] = rotated / size
    kind = str(own("rope.scaling.type", "none"))
    if "rope_freqs.weight" in factors:
        return _llama3_settings(factors["rope_freqs.weight"], theta)
    if "rope_factors_long.weight" in factors:
        return rope | {
            "rope_type": "longrope",
            "long_factor": [float(value) for value in factors["rope_factors_long.weight"]],
            "short_factor": [float(value) for value in factors["rope_factors_short.weight"]],
            "attention_factor": float(own("rope.scaling.attn_factor", 1.0)),
            "original_max_position_embeddings": int(own("rope.scaling.original_context_length")),
        }
    if kind == "linear":
        return rope | {"rope_type": "linear", "factor": float(own("rope.scaling.factor"))}
    if kind == "yarn":
        original = int(own("rope.scaling.original_context_length"))
        factor = float(own("rope.scaling.factor"))
        return rope | {"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original}
    if kind != "none":
        raise BaseError(f"the file scales its rotary positions by {kind!r}, which Locum cannot train; choose another")
    return rope
