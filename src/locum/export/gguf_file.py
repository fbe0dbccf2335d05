"""Writing a Hugging Face model folder as one GGUF file, quantized on the way.

Metadata and tokenizer come from the base: copied key by key where the base came as a GGUF file, else made from the
folder's config.json and tokenizer.json. The chat template is the one that training used.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from locum import __version__, files
from locum.errors import ExportError
from locum.progress import Progress, silent
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.gguf_base import Array, open_gguf, tensor_names, to_gguf_layout

if TYPE_CHECKING:
    from gguf import GGUFWriter
    from transformers import PretrainedConfig

QUANTIZATIONS = ("F32", "F16", "BF16", "Q8_0")
"""Types of a model file's matrices that can be written; vectors always stay F32, as llama.cpp wants them."""

_MADE_HERE = (
    "GGUF.",
    "general.file_type",
    "general.quantization_version",
    "tokenizer.chat_template",
    "general.name",
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
        quantization: one of `QUANTIZATIONS`.
        name: `general.name`, what servers show.

    Raises:
        ExportError: the type is not one of `QUANTIZATIONS`, or a base folder's tokenizer has no GGUF counterpart.
    """
    import torch
    from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, quantize
    from transformers import AutoConfig

    if quantization not in QUANTIZATIONS:
        raise ExportError(f"cannot write the type {quantization!r}; choose one of {', '.join(QUANTIZATIONS)}")
    matrix_type = GGMLQuantizationType[quantization]
    config = AutoConfig.from_pretrained(folder)
    names = tensor_names(config)
    file_types = {"F32": "ALL_F32", "F16": "MOSTLY_F16", "BF16": "MOSTLY_BF16", "Q8_0": "MOSTLY_Q8_0"}
    with files.atomic_path(out) as partial:
        writer = GGUFWriter(partial, arch=str(config.model_type))
        writer.add_name(name)
        writer.add_file_type(LlamaFileType[file_types[quantization]])
        writer.add_quantization_version(2)
        writer.add_chat_template(renderer.template)
        if base.gguf is not None:
            _copy_metadata(base.gguf, writer)
        else:
            _describe(writer, config)
            _add_tokenizer(writer, base.folder, renderer)
        writer.add_string("locum.version", __version__)
        shards = _shards(folder)
        for done, (hf_name, gguf_name) in enumerate(names):
            progress("quantize", done, len(names), quantization)
            array: Array = shards[hf_name].get_tensor(hf_name).to(torch.float32).numpy()
            array = np.ascontiguousarray(to_gguf_layout(hf_name, array, config))
            # Rows that no block of this type can hold stay at half precision, as llama.cpp's quantizer falls back.
            kind = GGMLQuantizationType.F32 if array.ndim == 1 else matrix_type
            if kind == GGMLQuantizationType.Q8_0 and array.shape[-1] % 32:
                kind = GGMLQuantizationType.F16
            writer.add_tensor(gguf_name, quantize(array, kind), raw_dtype=kind)
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


def _copy_metadata(source: Path, writer: "GGUFWriter") -> None:
    from gguf import GGUFValueType

    for key, field in open_gguf(source).fields.items():
        if key.startswith(_MADE_HERE) or key == "general.architecture":
            continue
        kind = field.types[0]
        sub_type = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), kind, sub_type)


def _describe(writer: "GGUFWriter", config: "PretrainedConfig") -> None:
    """The llama keys that llama.cpp's loader needs, from config.json."""
    heads = int(config.num_attention_heads)
    head_size = int(getattr(config, "head_dim", None) or config.hidden_size // heads)
    writer.add_context_length(int(config.max_position_embeddings))
    writer.add_embedding_length(int(config.hidden_size))
    writer.add_block_count(int(config.num_hidden_layers))
    writer.add_feed_forward_length(int(config.intermediate_size))
    writer.add_head_count(heads)
    writer.add_head_count_kv(int(config.num_key_value_heads))
    writer.add_key_length(head_size)
    writer.add_value_length(head_size)
    writer.add_rope_dimension_count(head_size)
    writer.add_layer_norm_rms_eps(float(config.rms_norm_eps))
    writer.add_vocab_size(int(config.vocab_size))
    rope = config.rope_parameters or {}
    if rope.get("rope_type", "default") != "default":
        raise ExportError(
            f"the base scales its rotary positions by {rope['rope_type']!r}, which Locum cannot export from a folder "
            "yet; give the base as a .gguf file"
        )
    writer.add_rope_freq_base(float(rope.get("rope_theta", 10000.0)))


def _add_tokenizer(writer: "GGUFWriter", folder: Path, renderer: Renderer) -> None:
    """A byte-level BPE tokenizer, from tokenizer.json."""
    tokenizer = renderer.tokenizer
    whole = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    pre = _pre_tokenizer_name(whole)
    vocab: dict[str, int] = tokenizer.get_vocab()
    added = tokenizer.added_tokens_decoder
    size = max(vocab.values()) + 1
    by_id = {index: token for token, index in vocab.items()}
    tokens = [by_id.get(index, f"[UNUSED{index}]") for index in range(size)]
    special, user, normal, unused = 3, 4, 1, 5
    kinds = [
        (special if added[index].special else user) if index in added else (normal if index in by_id else unused)
        for index in range(size)
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in whole["model"]["merges"]]
    writer.add_token_merges(merges)
    if tokenizer.bos_token_id is not None:
        writer.add_bos_token_id(tokenizer.bos_token_id)
    # What ends the agent's turn is what must stop the engine.
    writer.add_eos_token_id(renderer.end)
    if tokenizer.pad_token_id is not None:
        writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(False)


def _pre_tokenizer_name(whole: dict[str, Any]) -> str:
    """llama.cpp's name for a tokenizer.json's way of splitting text before BPE."""
    model, pre = whole.get("model", {}), whole.get("pre_tokenizer") or {}
    parts = pre.get("pretokenizers", [pre])
    kinds = [(part.get("type"), part.get("individual_digits"), part.get("pattern")) for part in parts]
    if model.get("type") == "BPE" and kinds[-1][0] == "ByteLevel":
        if len(kinds) == 1:
            return "gpt-2"
        if kinds[0][:2] == ("Digits", True) and len(kinds) == 2:
            return "smollm"
    shape = hashlib.sha256(json.dumps(pre, sort_keys=True).encode()).hexdigest()[:12]
    raise ExportError(
        f"this base's tokenizer splits text in a way that Locum cannot name for llama.cpp yet (pre-tokenizer {shape}); "
        "give the base as a .gguf file, whose tokenizer is carried over unchanged"
    )
