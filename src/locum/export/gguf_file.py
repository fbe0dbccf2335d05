"""Writing a Hugging Face model folder as one GGUF file, quantized on the way.

Metadata and tokenizer come from the base: copied key by key where the base came as a GGUF file, else made from the
folder's config.json and tokenizer. The chat template is the one that training used; its text is all that the model
sees, so the file tells the engine to put nothing before it.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from locum import __version__, files
from locum.export.llama_quantize import quantize_file
from locum.export.quantize import encode, is_left_to_llama_quantize, require_quantization, tensor_type
from locum.export.tokenizer_file import add_tokenizer
from locum.progress import Progress, silent
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.gguf_base import open_gguf
from locum.training.gguf_config import Array, architecture_of, context_length, describe, rope_tensors
from locum.training.gguf_layout import tensor_names, to_gguf_layout

if TYPE_CHECKING:
    from gguf import GGUFWriter

_MADE_HERE = (
    "GGUF.",
    "general.file_type",
    "general.quantization_version",
    "tokenizer.chat_template",
    "tokenizer.ggml.add_bos_token",
    "tokenizer.ggml.add_eos_token",
    "tokenizer.ggml.eot_token_id",
    "general.name",
    "locum.version",
)


def write_gguf(
    folder: Path,
    base: Base,
    renderer: Renderer,
    out: Path,
    quantization: str,
    name: str,
    progress: Progress = silent,
) -> None:
    """Write the model in `folder` to the file `out`, atomically.

    Args:
        folder: a Hugging Face model folder with the base's architecture (`RUN/fused`, or the base's own).
        base: where metadata and tokenizer come from.
        renderer: whose chat template the file carries.
        out: the `.gguf` file.
        quantization: one of `export.quantize.QUANTIZATIONS`.
        name: `general.name`, what servers show.

    Raises:
        ExportError: the type cannot be written here, llama-quantize fails, or a base folder's tokenizer has no GGUF
            counterpart.
    """
    import torch
    from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType
    from transformers import AutoConfig

    require_quantization(quantization)
    if is_left_to_llama_quantize(quantization):
        with files.atomic_path(out) as partial, TemporaryDirectory(dir=out.parent, prefix=files.PARTIAL) as scratch:
            # From float32, so that nothing is rounded twice.
            whole = Path(scratch) / "F32.gguf"
            write_gguf(folder, base, renderer, whole, "F32", name, progress)
            progress("quantize", 0, 1, quantization)
            quantize_file(whole, partial, quantization)
            progress("quantize", 1, 1, quantization)
        return
    config = AutoConfig.from_pretrained(folder)
    names, arch = tensor_names(config), architecture_of(config)
    layers, tied = int(config.num_hidden_layers), bool(config.tie_word_embeddings)
    with files.atomic_path(out) as partial:
        writer = GGUFWriter(partial, arch=arch)
        writer.add_name(_engine_name(name, renderer))
        writer.add_file_type(LlamaFileType["ALL_F32" if quantization == "F32" else f"MOSTLY_{quantization}"])
        writer.add_quantization_version(2)
        writer.add_chat_template(renderer.template)
        if base.gguf is not None:
            _copy_metadata(base.gguf, writer, arch)
            writer.add_context_length(context_length(config))
        else:
            describe(writer, config)
            add_tokenizer(writer, renderer, int(config.vocab_size))
            if base.licence:
                writer.add_license(base.licence)
        _add_turns(writer, renderer)
        writer.add_string("locum.version", __version__)
        for gguf_name, factors in rope_tensors(config):
            writer.add_tensor(gguf_name, factors)
        shards = _shards(folder)
        for done, (hf_name, gguf_name) in enumerate(names):
            progress("quantize", done, len(names), quantization)
            array: Array = shards[hf_name].get_tensor(hf_name).to(torch.float32).numpy()
            array = np.ascontiguousarray(to_gguf_layout(hf_name, array, config))
            kind = tensor_type(gguf_name, array.shape[-1], quantization, layers, matrix=array.ndim > 1, tied=tied)
            writer.add_tensor(gguf_name, encode(array, kind), raw_dtype=GGMLQuantizationType[kind])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        progress("quantize", len(names), len(names), quantization)


def _shards(folder: Path) -> dict[str, Any]:
    """Tensor name -> the open file that holds it."""
    from safetensors import safe_open

    found: dict[str, Any] = {}
    for shard in sorted(folder.glob("*.safetensors")):
        handle = safe_open(shard, framework="pt")
        found.update(dict.fromkeys(handle.keys(), handle))
    return found


def _copy_metadata(source: Path, writer: "GGUFWriter", arch: str) -> None:
    from gguf import GGUFValueType

    made_here = (*_MADE_HERE, f"{arch}.context_length")
    for key, field in open_gguf(source).fields.items():
        if key.startswith(made_here) or key == "general.architecture":
            continue
        kind = field.types[0]
        sub_type = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), kind, sub_type)


def _add_turns(writer: "GGUFWriter", renderer: Renderer) -> None:
    """What the engine does around the template's text: nothing before it, and an end where the agent's turn ends."""
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_eot_token_id(renderer.end)


def _engine_name(name: str, renderer: Renderer) -> str:
    """`general.name`: llama.cpp lets special tokens swallow the white space after them by this name alone."""
    swallows = any(token.rstrip for token in renderer.tokenizer.added_tokens_decoder.values())
    return f"{name} (phi-3)" if swallows else name
