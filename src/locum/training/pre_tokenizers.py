"""llama.cpp's names for the ways of splitting text before byte-level BPE, and what each means in tokenizer.json.

The engine knows a fixed list of them (`llama-vocab.cpp` there). A tokenizer that splits in none of these ways is
refused: served under a near name, it would cut numbers or line breaks otherwise than in training.
"""

import json
from typing import Any

_LETTERS = r"[^\r\n\p{L}\p{N}]?"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_SPACES = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_LLAMA3 = _ENDINGS + "|" + _LETTERS + r"\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + _SPACES
_QWEN2 = _ENDINGS + "|" + _LETTERS + r"\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*" + _SPACES
_TEKKEN = f"{_LETTERS}{_UPPER}*{_LOWER}+|{_LETTERS}{_UPPER}+{_LOWER}*" + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + _SPACES
_GPT4O = (
    f"{_LETTERS}{_UPPER}*{_LOWER}+{_ENDINGS}?|{_LETTERS}{_UPPER}+{_LOWER}*{_ENDINGS}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + _SPACES
)


def _bytes(use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def _split(pattern: str) -> dict[str, Any]:
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, _bytes(False)]}


PRE_TOKENIZERS: dict[str, tuple[dict[str, Any], bool]] = {
    "gpt-2": (_bytes(True), False),
    "smollm": (
        {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, _bytes(True)]},
        False,
    ),
    "llama-bpe": (_split(_LLAMA3), True),
    "dbrx": (_split(_LLAMA3), False),
    "qwen2": (_split(_QWEN2), False),
    "tekken": (_split(_TEKKEN), True),
    "gpt-4o": (_split(_GPT4O), False),
}
"""Name -> (the pre-tokenizer of tokenizer.json, whether a word that is a token is taken whole without merging)."""

_ALIASES = {"llama3": "llama-bpe", "llama-v3": "llama-bpe", "deepseek-r1-qwen": "qwen2"}
"""Names that llama.cpp treats as another."""


def pre_tokenizer(name: str) -> tuple[dict[str, Any], bool] | None:
    """What `name` (`tokenizer.ggml.pre`) means, or None where Locum does not know it."""
    return PRE_TOKENIZERS.get(_ALIASES.get(name, name))


def name_of(pre: dict[str, Any] | None, ignore_merges: bool) -> str | None:
    """llama.cpp's name for a tokenizer.json's pre-tokenizer, or None where it has none."""
    wanted = _canonical(pre), ignore_merges
    for name, (known, whole_words) in PRE_TOKENIZERS.items():
        if wanted == (_canonical(known), whole_words):
            return name
    return None


def _canonical(pre: dict[str, Any] | None) -> str:
    """One spelling for what splits alike: a sequence of one is that one, offsets do not matter."""
    steps = (pre or {}).get("pretokenizers", [pre]) if pre else []
    kept = [{key: value for key, value in step.items() if key != "trim_offsets"} for step in steps if step]
    for step in kept:
        if step.get("type") == "ByteLevel":
            step.setdefault("use_regex", True)
    return json.dumps(kept, sort_keys=True)
