"""Turning a GGUF file into a Hugging Face folder, and its tensors into a state dict.

The tensors are dequantized with the `gguf` package (https://github.com/ggml-org/llama.cpp/tree/master/gguf-py); what
becomes of names, settings and tokenizer is told in `gguf_layout`, `gguf_config` and `gguf_tokenizer`.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from locum.errors import BaseError
from locum.training.gguf_config import Array, config_from_gguf
from locum.training.gguf_layout import from_gguf_layout, tensor_names
from locum.training.gguf_tokenizer import write_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig


class GGUFKind(msgspec.Struct, frozen=True):
    """What a GGUF file says of itself."""

    architecture: str
    quantization: str | None
    """The commonest quantized type of its matrices, or None where it holds full precision."""
    licence: str | None


def unpack_gguf(model: Path, folder: Path, require: Callable[[str], None]) -> GGUFKind:
    """Write `model` into `folder` as config.json, model.safetensors, tokenizer and chat template.

    Args:
        model: the GGUF file.
        folder: an existing empty folder.
        require: called with the architecture before anything is converted; raises where it is not supported.

    Raises:
        BaseError: the file is no GGUF, is damaged, or has no chat template.
    """
    from safetensors.numpy import save_file
    from transformers import AutoConfig

    reader = open_gguf(model)
    kind = _kind(reader)
    require(kind.architecture)

    def read(key: str) -> Any:
        return _value(reader, key)

    try:
        config = config_from_gguf(read, _shapes(reader), _rope_factors(reader))
        write_tokenizer(read, folder)
    except BaseError as error:
        raise BaseError(f"base {model.name!r}: {error}") from None
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    state = dict(_hf_tensors(reader, model.name, AutoConfig.from_pretrained(folder)))
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return kind


def _shapes(reader: Any) -> dict[str, tuple[int, ...]]:
    """Each tensor's shape, rows first (the file has it the other way round)."""
    return {tensor.name: tuple(int(size) for size in tensor.shape[::-1]) for tensor in reader.tensors}


def _rope_factors(reader: Any) -> dict[str, Array]:
    return {
        tensor.name: np.array(tensor.data, dtype=np.float32)
        for tensor in reader.tensors
        if tensor.name.startswith("rope_f")
    }


def _kind(reader: Any) -> GGUFKind:
    matrices = Counter(tensor.tensor_type.name for tensor in reader.tensors if len(tensor.shape) > 1)
    quantized = [name for name, _ in matrices.most_common() if name not in ("F32", "F16", "BF16")]
    return GGUFKind(
        architecture=str(_value(reader, "general.architecture")),
        quantization=quantized[0] if quantized else None,
        licence=_value(reader, "general.license"),
    )


def open_gguf(model: Path) -> Any:
    """A `gguf.GGUFReader` of the file, several times faster than the library's own.

    The library slices a `numpy.memmap` for every one of a vocabulary's hundred thousand strings, and that subclass's
    bookkeeping is most of the time; a plain array over the same mapping has none.

    Raises:
        BaseError: it is no GGUF file, or is cut short.
    """
    import gguf

    class Reader(gguf.GGUFReader):
        @property
        def data(self) -> Any:
            return self._data

        @data.setter
        def data(self, mapped: Any) -> None:
            self._data = mapped.view(np.ndarray)

    try:
        return Reader(model)
    except (ValueError, KeyError, IndexError, OSError) as error:
        raise BaseError(
            f"{str(model)!r} is no whole GGUF file ({error}); give another file or fetch it again"
        ) from None


def _value(reader: Any, key: str) -> Any:
    field = reader.get_field(key)
    return field.contents() if field is not None else None


def hf_tensors(model: Path, config: "PretrainedConfig") -> Iterator[tuple[str, Array]]:
    """Dequantize a GGUF file's tensors, under transformers' names and in transformers' layout, as float32."""
    return _hf_tensors(open_gguf(model), model.name, config)


def _hf_tensors(reader: Any, name: str, config: "PretrainedConfig") -> Iterator[tuple[str, Array]]:
    from gguf import dequantize

    by_name = {tensor.name: tensor for tensor in reader.tensors}
    for hf_name, gguf_name in tensor_names(config):
        if gguf_name not in by_name:
            raise BaseError(f"{name!r} misses the tensor {gguf_name!r}: it is not a whole {config.model_type} model")
        tensor = by_name[gguf_name]
        # A copy: the reader maps the file, and torch must not be handed read-only memory.
        array = np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        yield hf_name, np.ascontiguousarray(from_gguf_layout(hf_name, array, config))


def load_weights(module: "torch.nn.Module", model: Path, config: "PretrainedConfig") -> None:
    """Fill a transformers causal language model with a GGUF file's dequantized weights, in the module's dtype."""
    import torch

    state = {name: torch.from_numpy(value) for name, value in hf_tensors(model, config)}
    missing, unexpected = module.load_state_dict(state, strict=False)
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    if set(missing) - tied or unexpected:
        raise BaseError(f"{model.name!r} does not fit the model's shape: missing {missing}, unexpected {unexpected}")
