"""A base's tokenizer as GGUF metadata, from what training itself tokenizes with.

The engine tokenizes by its own code: what it cannot be told is refused here, and what it is told is held against
training by the parity certificate. Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#tokenizer
"""

import hashlib
import json
from typing import TYPE_CHECKING, Any

from locum.errors import ExportError
from locum.training.chat_template import Renderer
from locum.training.gguf_tokenizer import TokenType
from locum.training.pre_tokenizers import name_of

if TYPE_CHECKING:
    from gguf import GGUFWriter


def add_tokenizer(writer: "GGUFWriter", renderer: Renderer, rows: int) -> None:
    """Write vocabulary, merges or scores, token types and special tokens.

    Args:
        writer: the file being written.
        renderer: whose tokenizer it is.
        rows: rows of the embedding; those without a token are filled up, as the engine wants one for each.

    Raises:
        ExportError: it splits text, or prepares it, in a way that llama.cpp has no name for.
    """
    tokenizer = renderer.tokenizer
    whole = json.loads(tokenizer.backend_tokenizer.to_str())
    model = whole["model"]
    if model.get("type") != "BPE":
        raise _unknown("is of the kind", model.get("type"))
    tokens, types = _vocabulary(tokenizer, rows)
    merges = [merge.split(" ", 1) if isinstance(merge, str) else merge for merge in model["merges"]]
    if model.get("byte_fallback"):
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_add_space_prefix(_space_prefix(whole))
        tokens, types = _sentence_piece(tokens, types, model.get("unk_token"))
        writer.add_token_scores(_scores(tokens, merges))
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(_pre_tokenizer_name(whole))
        writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    _special_tokens(writer, renderer)


def _vocabulary(tokenizer: Any, rows: int) -> tuple[list[str], list[int]]:
    by_id = {index: token for token, index in tokenizer.get_vocab().items()}
    added = tokenizer.added_tokens_decoder
    size = max(rows, max(by_id) + 1)
    tokens = [by_id.get(index, f"[UNUSED{index}]") for index in range(size)]

    def kind(index: int) -> int:
        if index in added:
            return TokenType.CONTROL if added[index].special else TokenType.USER_DEFINED
        return TokenType.NORMAL if index in by_id else TokenType.UNUSED

    return tokens, [kind(index) for index in range(size)]


def _sentence_piece(tokens: list[str], types: list[int], unknown: str | None) -> tuple[list[str], list[int]]:
    kinds = list(types)
    for index, token in enumerate(tokens):
        if token == unknown:
            kinds[index] = TokenType.UNKNOWN
        elif len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
            kinds[index] = TokenType.BYTE
    return tokens, kinds


def _scores(tokens: list[str], merges: list[list[str]]) -> list[float]:
    """What SentencePiece's joining by scores needs to make the same tokens as joining by the order of merges."""
    first: dict[str, int] = {}
    for rank, (left, right) in enumerate(merges):
        first.setdefault(left + right, rank)
    never = float(len(merges) + 1)
    return [-float(first.get(token, never)) for token in tokens]


def _space_prefix(whole: dict[str, Any]) -> bool:
    """Whether a space is put before every piece of text; refuses any other preparation than spaces as `▁`."""
    normalizer = whole.get("normalizer") or {}
    steps = normalizer.get("normalizers", [normalizer]) if normalizer else []
    pre = whole.get("pre_tokenizer") or {}
    prepends = [step for step in steps if step["type"] == "Prepend" and step["prepend"] == "▁"]
    replaces = [step for step in steps if step["type"] == "Replace" and step["pattern"] == {"String": " "}]
    if len(prepends) + len(replaces) != len(steps):
        raise _unknown("prepares text by", normalizer)
    if pre.get("type") == "Metaspace" and not pre.get("split", True) and not steps:
        return bool(pre.get("prepend_scheme") == "always")
    # Splitting at spaces after they became `▁` splits nothing.
    harmless = pre == {} or (pre.get("type") == "Split" and pre.get("pattern") == {"String": " "})
    if not harmless or not replaces:
        raise _unknown("splits text by", pre)
    return bool(prepends)


def _pre_tokenizer_name(whole: dict[str, Any]) -> str:
    """llama.cpp's name for a tokenizer.json's way of splitting text before BPE."""
    pre = whole.get("pre_tokenizer")
    if whole.get("normalizer") not in (None, {"type": "NFC"}):
        raise _unknown("prepares text by", whole["normalizer"])
    name = name_of(pre, bool(whole["model"].get("ignore_merges")))
    if name is None:
        shape = hashlib.sha256(json.dumps(pre, sort_keys=True).encode()).hexdigest()[:12]
        raise _unknown("splits text by pre-tokenizer", shape)
    return name


def _unknown(how: str, what: Any) -> ExportError:
    shown = what if isinstance(what, str) else json.dumps(what, ensure_ascii=False)[:80]
    return ExportError(
        f"this base's tokenizer {how} {shown}, which Locum cannot name for llama.cpp; "
        "give the base as a .gguf file, whose tokenizer is carried over unchanged"
    )


def _special_tokens(writer: "GGUFWriter", renderer: Renderer) -> None:
    tokenizer = renderer.tokenizer
    if tokenizer.bos_token_id is not None:
        writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(renderer.end if tokenizer.eos_token_id is None else tokenizer.eos_token_id)
    if tokenizer.pad_token_id is not None:
        writer.add_pad_token_id(tokenizer.pad_token_id)
    if tokenizer.unk_token_id is not None:
        writer.add_unk_token_id(tokenizer.unk_token_id)
