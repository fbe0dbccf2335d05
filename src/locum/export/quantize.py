"""Which type each tensor of a model file gets, and its encoding.

A file's type names a mix: vectors stay F32, the matrix that makes the output has more bits than the rest, and the
`_M` mixes give more bits to some layers. The choice is llama.cpp's own, for dense models (`llama_tensor_get_type` in
https://github.com/ggml-org/llama.cpp/blob/master/src/llama-quant.cpp), with one difference: in files of the types Q4_0
to Q5_1 the output matrix is Q8_0, not Q6_K, so that the `gguf` package alone can write them.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from locum.errors import ExportError
from locum.export import ggml_library, llama_quantize

QUANTIZATIONS: Mapping[str, str] = {
    "F32": "F32", "F16": "F16", "BF16": "BF16", "Q8_0": "Q8_0", "Q6_K": "Q6_K", "Q5_K_M": "Q5_K", "Q5_1": "Q5_1",
    "Q5_0": "Q5_0", "Q4_K_M": "Q4_K", "Q4_1": "Q4_1", "Q4_0": "Q4_0",
}  # fmt: skip
"""Type of a file -> type of most of its matrices; largest file first."""

_FALLBACK = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
"""K-quants lie in blocks of 256 values; a row that is no multiple of that gets a type with blocks of 32."""


def require_quantization(quantization: str) -> None:
    """Refuse a type that cannot be written here, before any work is done.

    Raises:
        ExportError: it is none of `QUANTIZATIONS`, or needs a ggml library or llama-quantize and there is neither.
    """
    if quantization not in QUANTIZATIONS:
        raise ExportError(f"cannot write the type {quantization!r}; choose one of {', '.join(QUANTIZATIONS)}")
    if _takes_ggml(quantization) and not (ggml_library.is_present() or llama_quantize.is_present()):
        raise ExportError(
            f"nothing here can write {quantization!r}: it takes ggml's own encoder, which the package xllamacpp "
            f"carries on Linux; put llama-quantize on PATH, name a libggml-base in {ggml_library.VARIABLE}, "
            "or choose Q8_0"
        )


def is_left_to_llama_quantize(quantization: str) -> bool:
    """Whether llama.cpp's own program has to write this type, since no library here encodes it."""
    return _takes_ggml(quantization) and not ggml_library.is_present()


def _takes_ggml(quantization: str) -> bool:
    return QUANTIZATIONS[quantization] in _FALLBACK


def tensor_type(name: str, columns: int, quantization: str, layers: int, *, matrix: bool, tied: bool) -> str:
    """The type of one tensor of a dense model.

    Args:
        name: its GGUF name (`blk.0.attn_v.weight`).
        columns: length of its rows.
        quantization: the file's type, one of `QUANTIZATIONS`.
        layers: the model's number of layers.
        matrix: whether it has more than one dimension; vectors stay F32.
        tied: whether the model's output matrix is its token embedding.
    """
    if not matrix or "_norm." in name:
        return "F32"
    kind = QUANTIZATIONS[quantization]
    if kind in ("F32", "F16", "BF16"):
        return kind
    if name == "output.weight" or (tied and name == "token_embd.weight"):
        kind = "Q6_K" if kind in _FALLBACK else "Q8_0"
    elif quantization in ("Q4_K_M", "Q5_K_M"):
        kind = _in_mix(name, kind, layers)
    if columns % 256 and kind in _FALLBACK:
        kind = _FALLBACK[kind]
    return "F16" if columns % 32 else kind


def _in_mix(name: str, kind: str, layers: int) -> str:
    """What the `_M` mixes give a layer's tensor: half the layers' attention values and second projections Q6_K."""
    if any(part in name for part in (".attn_v.", ".attn_qkv.", ".ffn_down.")) and _has_more_bits(name, layers):
        return "Q6_K"
    return kind


def _has_more_bits(name: str, layers: int) -> bool:
    found = re.match(r"blk\.(\d+)\.", name)
    layer = int(found[1]) if found else 0
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def encode(array: npt.NDArray[np.float32], kind: str) -> npt.NDArray[Any]:
    """A tensor's values in a type, as the `gguf` package's writer takes them.

    Raises:
        ExportError: the type needs a ggml library and there is none.
    """
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quantize

    number = GGMLQuantizationType[kind]
    if kind not in _FALLBACK:
        encoded: npt.NDArray[Any] = quantize(array, number)
        return encoded
    block, size = GGML_QUANT_SIZES[number]
    return ggml_library.encode_blocks(array, int(number), array.shape[-1] // block * size)
