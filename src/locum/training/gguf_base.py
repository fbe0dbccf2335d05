"""Turning a GGUF file into a Hugging Face folder, and its tensors into a state dict.

Config and tokenizer come through transformers' own GGUF support; the tensors are dequantized with the `gguf`
package and mapped by its name tables (https://github.com/ggml-org/llama.cpp/tree/master/gguf-py).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from locum.errors import BaseError

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig

Array = npt.NDArray[np.float32]


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
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoTokenizer
    from transformers.utils import logging

    reader = open_gguf(model)
    kind = _kind(reader)
    require(kind.architecture)
    logging.disable_progress_bar()
    config = AutoConfig.from_pretrained(model.parent, gguf_file=model.name)
    tokenizer = AutoTokenizer.from_pretrained(model.parent, gguf_file=model.name)
    if not tokenizer.chat_template:
        raise BaseError(f"base {model.name!r} has no chat template: it is no chat model; choose an instruct model")
    _fix_pretokenizer(tokenizer, reader)
    config.architectures = [_CAUSAL_LM[kind.architecture]]
    config.dtype = torch.float32
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    state = {name: torch.from_numpy(value) for name, value in _hf_tensors(reader, model.name, config)}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return kind


_CAUSAL_LM = {"llama": "LlamaForCausalLM"}


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


def _fix_pretokenizer(tokenizer: Any, reader: Any) -> None:
    """Split digits as llama.cpp does for this tokenizer; transformers' GGUF conversion leaves that out.

    llama.cpp's `LLAMA_VOCAB_PRE_TYPE_SMOLLM` first isolates every digit, then applies GPT-2's pattern.
    """
    from tokenizers import pre_tokenizers

    if _value(reader, "tokenizer.ggml.pre") == "smollm":
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )


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


def tensor_names(config: "PretrainedConfig") -> list[tuple[str, str]]:
    """(transformers' name, GGUF name) of every tensor of a causal language model with this config."""
    import torch
    from gguf import MODEL_ARCH, get_tensor_name_map
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        module = AutoModelForCausalLM.from_config(config)
    names = get_tensor_name_map(MODEL_ARCH[str(config.model_type).upper()], int(config.num_hidden_layers))
    pairs = []
    for hf_name in module.state_dict():
        if hf_name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        gguf_name = names.get_name(hf_name, try_suffixes=(".weight", ".bias"))
        if gguf_name is None:
            raise BaseError(f"the tensor {hf_name!r} has no place in a GGUF file of a {config.model_type} model")
        pairs.append((hf_name, gguf_name))
    return pairs


def _heads(hf_name: str, config: "PretrainedConfig") -> int | None:
    """Heads by which a llama projection's rows are permuted in GGUF (its rotary layout); None: not permuted."""
    if config.model_type != "llama":
        return None
    if ".q_proj." in hf_name:
        return int(config.num_attention_heads)
    if ".k_proj." in hf_name:
        return int(config.num_key_value_heads)
    return None


def to_gguf_layout(hf_name: str, array: Array, config: "PretrainedConfig") -> Array:
    """Transformers' layout to GGUF's: rotary halves interleaved, as llama.cpp's convert_hf_to_gguf.py does."""
    heads = _heads(hf_name, config)
    if heads is None:
        return array
    return array.reshape(heads, 2, -1, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)


def from_gguf_layout(hf_name: str, array: Array, config: "PretrainedConfig") -> Array:
    """The inverse of `to_gguf_layout`."""
    heads = _heads(hf_name, config)
    if heads is None:
        return array
    return array.reshape(heads, -1, 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
