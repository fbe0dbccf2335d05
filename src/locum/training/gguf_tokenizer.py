"""The tokenizer of a GGUF file as tokenizer.json, which transformers reads.

Two kinds serve all architectures that Locum trains: byte-level BPE (`gpt2`, with a named way of splitting) and
SentencePiece's BPE (`llama`: scores instead of merges, bytes for what has no token).
Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#tokenizer
"""

import json
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any

from locum.errors import BaseError
from locum.training.pre_tokenizers import PRE_TOKENIZERS, pre_tokenizer


class TokenType(IntEnum):
    """`tokenizer.ggml.token_type`."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


def write_tokenizer(read: Callable[[str], Any], folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and the chat template of a GGUF file.

    Args:
        read: the value of a metadata key, None where the file lacks it.
        folder: an existing folder.

    Raises:
        BaseError: the file has no chat template, or a tokenizer of another kind.
    """
    tokens = read("tokenizer.ggml.tokens")
    kind = read("tokenizer.ggml.model")
    if not tokens or kind not in ("gpt2", "llama"):
        raise BaseError(f"the file's tokenizer is of the kind {kind!r}; Locum reads 'gpt2' (BPE) and 'llama' (SPM)")
    template = read("tokenizer.chat_template")
    if not template:
        raise BaseError("the file has no chat template: it is no chat model; choose an instruct model")
    types = read("tokenizer.ggml.token_type") or [TokenType.NORMAL] * len(tokens)
    whole = _byte_level(read, tokens) if kind == "gpt2" else _sentence_piece(read, tokens, types)
    whole |= {"version": "1.0", "truncation": None, "padding": None, "post_processor": None}
    # llama.cpp strips what follows a special token by the model's name, and by nothing else.
    strips = any(mark in str(read("general.name") or "").lower() for mark in ("phi-3", "phi3"))
    whole["added_tokens"] = [
        {
            "id": index,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": strips and token not in ("<unk>", "<s>", "<|endoftext|>"),
            "normalized": False,
            "special": kind_of == TokenType.CONTROL,
        }
        for index, (token, kind_of) in enumerate(zip(tokens, types, strict=True))
        if kind_of in (TokenType.CONTROL, TokenType.USER_DEFINED) or (kind_of == TokenType.UNKNOWN and kind == "llama")
    ]
    (folder / "tokenizer.json").write_text(json.dumps(whole, ensure_ascii=False), encoding="utf-8")
    settings: dict[str, Any] = {
        # By this name transformers takes tokenizer.json as it is, whatever the architecture.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "chat_template": str(template),
    }
    for ours, key in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")):
        index = read(f"tokenizer.ggml.{key}_token_id")
        if index is not None and 0 <= int(index) < len(tokens):
            settings[f"{ours}_token"] = tokens[int(index)]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, ensure_ascii=False, indent=2), encoding="utf-8")


def _byte_level(read: Callable[[str], Any], tokens: list[str]) -> dict[str, Any]:
    name = str(read("tokenizer.ggml.pre") or "default")
    known = pre_tokenizer(name)
    if known is None:
        raise BaseError(
            f"the file's tokenizer splits text as {name!r}, which Locum does not know; it knows "
            f"{', '.join(PRE_TOKENIZERS)}"
        )
    pre, ignore_merges = known
    merges = read("tokenizer.ggml.merges")
    if merges is None:
        raise BaseError("the file's tokenizer has no merges: it is no whole model; fetch it again")
    return {
        "normalizer": None,
        "pre_tokenizer": pre,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": _bpe(tokens, [_pair(merge) for merge in merges]) | {"ignore_merges": ignore_merges},
    }


def _pair(merge: str) -> list[str]:
    """The two halves of a merge; the space between them is never its first character."""
    at = merge.index(" ", 1)
    return [merge[:at], merge[at + 1 :]]


def _sentence_piece(read: Callable[[str], Any], tokens: list[str], types: list[int]) -> dict[str, Any]:
    scores = read("tokenizer.ggml.scores")
    if scores is None:
        raise BaseError("the file's tokenizer has no scores: it is no whole model; fetch it again")
    prefix = read("tokenizer.ggml.add_space_prefix")
    spaces: dict[str, Any] = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    steps = [spaces] if prefix is False else [{"type": "Prepend", "prepend": "▁"}, spaces]
    unknown = next((token for token, kind in zip(tokens, types, strict=True) if kind == TokenType.UNKNOWN), None)
    decoding: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if prefix is not False:
        decoding.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": decoding},
        "model": _bpe(tokens, merges_of(tokens, scores, types))
        | {"unk_token": unknown, "fuse_unk": True, "byte_fallback": True},
    }


def _bpe(tokens: list[str], merges: list[list[str]]) -> dict[str, Any]:
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {token: index for index, token in enumerate(tokens)},
        "merges": merges,
    }


def merges_of(tokens: list[str], scores: list[float], types: list[int]) -> list[list[str]]:
    """SentencePiece's scores as merges: every way of putting a token together from two others, the best score first.

    SentencePiece joins whichever neighbours make the token of the best score; BPE joins by the first merge that fits.
    """
    pieces = {
        token: index
        for index, (token, kind) in enumerate(zip(tokens, types, strict=True))
        if kind in (TokenType.NORMAL, TokenType.USER_DEFINED)
    }
    found: list[tuple[float, int, int, list[str]]] = []
    for token, index in pieces.items():
        for at in range(1, len(token)):
            left, right = pieces.get(token[:at]), pieces.get(token[at:])
            if left is not None and right is not None:
                found.append((-scores[index], left, right, [token[:at], token[at:]]))
    return [pair for *_, pair in sorted(found)]
