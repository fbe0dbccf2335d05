"""Tiny random models of every architecture that Locum exports, each with the kind of tokenizer its family has."""

import json
from pathlib import Path
from typing import Any

from small_models import TEMPLATE, sentences

from locum.training.gguf_tokenizer import TokenType, merges_of
from locum.training.pre_tokenizers import PRE_TOKENIZERS

HERMES = (
    "{%- if tools %}{{- '<|im_start|>system\n' + (messages[0].content + '\n\n' if messages[0].role == 'system' else '')"
    " + 'Tools:\n' }}{%- for tool in tools %}{{- tool | tojson + '\n' }}{%- endfor %}{{- '<|im_end|>\n' }}"
    "{%- elif messages[0].role == 'system' %}{{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}"
    "{%- endif %}{%- for message in messages %}{%- if message.role == 'tool' %}"
    "{{- '<|im_start|>user\n<tool_response>\n' + message.content + '\n</tool_response><|im_end|>\n' }}"
    "{%- elif message.role != 'system' or not loop.first %}{{- '<|im_start|>' + message.role + '\n'"
    " + (message.content or '') }}{%- for call in message.tool_calls or [] %}{{- '\n<tool_call>\n{\"name\": \"'"
    " + call.function.name + '\", \"arguments\": ' + (call.function.arguments | tojson) + '}\n</tool_call>' }}"
    "{%- endfor %}{{- '<|im_end|>\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
"""As Qwen's: tools and calls in the template itself."""
_LLAMA3 = (
    "{{- bos_token }}{%- for message in messages %}{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n'"
    " + message.content | trim + '<|eot_id|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
_MISTRAL = (
    "{{- bos_token }}{%- for message in messages %}{%- if message.role == 'user' %}"
    "{{- '[INST] ' + message.content + ' [/INST]' }}{%- elif message.role == 'assistant' %}"
    "{{- ' ' + message.content + eos_token }}{%- else %}{{- raise_exception('Only user and assistant roles') }}"
    "{%- endif %}{%- endfor %}"
)
_GEMMA = (
    "{{- bos_token }}{%- if messages[0].role == 'system' %}{{- raise_exception('System role not supported') }}"
    "{%- endif %}{%- for message in messages %}{%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{%- endif %}"
    "{%- set role = 'model' if message.role == 'assistant' else message.role %}"
    "{{- '<start_of_turn>' + role + '\n' + message.content | trim + '<end_of_turn>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<start_of_turn>model\n' }}{%- endif %}"
)
_PHI3 = (
    "{%- for message in messages %}{{- '<|' + message.role + '|>\n' + message.content + '<|end|>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>\n' }}{%- endif %}"
)

_CHATML_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_COMMON: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    # Far above a real model's, so that every layer, head and position shows in the logits.
    "initializer_range": 0.15,
    "rms_norm_eps": 1e-5,
}
_HALF_HEAD = 8
_LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10_000.0,
    "short_factor": [1.0 + 0.05 * i for i in range(_HALF_HEAD)],
    "long_factor": [1.0 + 0.5 * i for i in range(_HALF_HEAD)],
    "original_max_position_embeddings": 512,
}
_LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}

SHAPES: dict[str, dict[str, Any]] = {
    "llama": {
        "class": "LlamaForCausalLM",
        "config": {"rope_parameters": _LLAMA3_ROPE, "tie_word_embeddings": False},
        "pre": "llama-bpe",
        "specials": ("<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"),
        "bos": "<|begin_of_text|>",
        "eos": "<|eot_id|>",
        "template": _LLAMA3,
    },
    "mistral": {
        "class": "MistralForCausalLM",
        "config": {"sliding_window": 1024, "head_dim": 32},
        "spm": "prefix",
        "specials": (),
        "bos": "<s>",
        "eos": "</s>",
        "template": _MISTRAL,
    },
    "qwen2": {
        "class": "Qwen2ForCausalLM",
        "config": {"tie_word_embeddings": True, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}},
        "pre": "qwen2",
        "specials": _CHATML_TOKENS,
        "bos": None,
        "eos": "<|im_end|>",
        "template": HERMES,
    },
    "qwen3": {
        "class": "Qwen3ForCausalLM",
        "config": {"head_dim": 32, "tie_word_embeddings": True},
        "pre": "qwen2",
        "specials": _CHATML_TOKENS,
        "bos": None,
        "eos": "<|im_end|>",
        "template": HERMES,
    },
    "gemma2": {
        "class": "Gemma2ForCausalLM",
        "config": {"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 16},
        "spm": "plain",
        "specials": ("<start_of_turn>", "<end_of_turn>"),
        "bos": "<s>",
        "eos": "</s>",
        "template": _GEMMA,
    },
    "gemma3": {
        "class": "Gemma3ForCausalLM",
        "config": {"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 16, "num_hidden_layers": 7},
        "spm": "plain",
        "specials": ("<start_of_turn>", "<end_of_turn>"),
        "bos": "<s>",
        "eos": "</s>",
        "template": _GEMMA,
    },
    "phi3": {
        "class": "Phi3ForCausalLM",
        "config": {"rope_parameters": _LONGROPE, "original_max_position_embeddings": 512},
        "spm": "prefix",
        "specials": ("<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "<|tool|>"),
        "bos": "<s>",
        "eos": "<|end|>",
        "template": _PHI3,
    },
    "llama with ChatML": {
        "class": "LlamaForCausalLM",
        "config": {"attention_bias": True, "rope_parameters": {"rope_type": "linear", "factor": 2.0}},
        "pre": "smollm",
        "specials": _CHATML_TOKENS,
        "bos": None,
        "eos": "<|im_end|>",
        "template": TEMPLATE,
    },
}
"""Name -> what makes it: transformers' class, settings, and the tokenizer's kind (`pre`: byte-level, `spm`: pieces)."""


def write_shape(folder: Path, name: str, **changes: Any) -> None:
    """Write a tiny random model into an existing folder, in Hugging Face's layout and float32.

    Args:
        folder: where to.
        name: one of `SHAPES`.
        changes: settings other than the shape's own.
    """
    import torch
    import transformers

    shape = SHAPES[name]
    size = write_tokenizer(folder, shape)
    model_class = getattr(transformers, shape["class"])
    settings = _COMMON | {"vocab_size": size, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    torch.manual_seed(5)
    model = model_class(model_class.config_class(**settings | shape["config"] | changes))
    for key, parameter in model.named_parameters():
        if "norm" in key:
            # Ones would hide a norm that is left out.
            torch.nn.init.uniform_(parameter, *((-0.5, 0.5) if "gemma" in name else (0.5, 1.5)))
        elif key.endswith("bias"):
            torch.nn.init.uniform_(parameter, -0.5, 0.5)
    model.save_pretrained(folder)


def write_tokenizer(folder: Path, shape: dict[str, Any]) -> int:
    """Train a shape's tokenizer on a few sentences and write it. Returns how many tokens it has."""
    whole = _byte_level(shape) if "pre" in shape else _pieces(shape)
    (folder / "tokenizer.json").write_text(json.dumps(whole, ensure_ascii=False), encoding="utf-8")
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": shape["template"]}
    settings |= {f"{key}_token": shape[key] for key in ("bos", "eos") if shape[key]}
    settings["pad_token"] = shape["eos"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return len(whole["model"]["vocab"])


def _added(index: int, token: str) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": index, "content": token, **flags}


def train_byte_level(pre: str, specials: tuple[str, ...], size: int = 420) -> dict[str, Any]:
    """tokenizer.json of a byte-level BPE that splits as `pre` says."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    split, ignore_merges = PRE_TOKENIZERS[pre]
    blank = json.loads(Tokenizer(models.BPE()).to_str()) | {"pre_tokenizer": split}
    bpe = Tokenizer.from_str(json.dumps(blank))
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(sentences(), trainer)
    whole: dict[str, Any] = json.loads(bpe.to_str())
    whole["model"]["ignore_merges"] = ignore_merges
    whole["decoder"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    return whole


def _byte_level(shape: dict[str, Any]) -> dict[str, Any]:
    return train_byte_level(shape["pre"], shape["specials"])


def _pieces(shape: dict[str, Any]) -> dict[str, Any]:
    """A tokenizer.json as transformers makes one of a SentencePiece model: bytes, pieces, every way to join them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    bpe.train_from_iterator(sentences(), trainers.BpeTrainer(vocab_size=260, show_progress=False))
    learned = json.loads(bpe.to_str())["model"]
    joined = [left + right for left, right in learned["merges"]]
    # In SentencePiece's order: what was joined first, then the single characters.
    pieces = list(dict.fromkeys([*joined, "▁▁", "▁▁▁▁", *(piece for piece in learned["vocab"] if len(piece) == 1)]))
    head = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens = [*head, *pieces, *shape["specials"]]
    special = {"<unk>", "<s>", "</s>", *shape["specials"]}
    types = [TokenType.CONTROL if token in special else TokenType.NORMAL for token in tokens]
    types[3:259] = [TokenType.BYTE] * 256
    merges = merges_of(tokens, [-float(index) for index in range(len(tokens))], [int(kind) for kind in types])
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    prepend = [{"type": "Prepend", "prepend": "▁"}] if shape["spm"] == "prefix" else []
    decoders = [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(index, token) for index, token in enumerate(tokens) if token in special],
        "normalizer": {"type": "Sequence", "normalizers": [*prepend, spaces]},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": merges,
        },
    }
