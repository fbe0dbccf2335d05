"""A written file holds the model's numbers within its type's rounding, and a base's own words key by key."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from small_models import write_tiny_base

from locum.errors import ExportError
from locum.export import gguf_file
from locum.export.gguf_file import write_gguf
from locum.export.read_back import WEIGHT_BOUNDS, check_weights
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.gguf_base import hf_tensors
from locum.training.gguf_layout import to_gguf_layout

gguf = pytest.importorskip("gguf")


def read(path: Path) -> Any:
    return gguf.GGUFReader(path)


def metadata(path: Path) -> dict[str, tuple[list[Any], Any]]:
    """Key -> (types, value) of everything but the header's own counts."""
    fields = read(path).fields
    return {key: (field.types, field.contents()) for key, field in fields.items() if not key.startswith("GGUF.")}


@pytest.mark.parametrize("quantization", ["F32", "F16", "BF16", "Q8_0"])
def test_tensors_are_the_models_within_the_types_rounding(
    tiny_base: Base, tiny_renderer: Renderer, tmp_path: Path, quantization: str
) -> None:
    from transformers import AutoConfig

    path = tmp_path / "m.gguf"
    write_gguf(tiny_base.folder, tiny_base, tiny_renderer, path, quantization, "m")
    original = load_file(tiny_base.folder / "model.safetensors")
    found = dict(hf_tensors(path, AutoConfig.from_pretrained(tiny_base.folder)))
    assert found.keys() == original.keys()
    for name, value in original.items():
        if value.ndim == 1 or quantization == "F32":
            np.testing.assert_array_equal(found[name], value, err_msg=name)
        elif quantization == "Q8_0":
            blocks = np.abs(value.reshape(-1, 32))
            step = np.repeat(blocks.max(axis=1) / 127, 32).reshape(value.shape)
            # Half a step, and the rounding of the step itself to a half float.
            assert (np.abs(found[name] - value) <= step * (0.5 + 127 * 2**-11) + 1e-7).all(), name
            assert np.abs(found[name] - value).max() > 0
        else:
            bits = {"F16": 11, "BF16": 8}[quantization]
            assert (np.abs(found[name] - value) <= np.abs(value) * 2.0**-bits + 1e-7).all(), name
    types = {tensor.name: tensor.tensor_type.name for tensor in read(path).tensors}
    assert {types[name] for name in types if "norm" in name} == {"F32"}
    assert {types[name] for name in types if "norm" not in name} == {quantization}
    agreement = check_weights(path, tiny_base.folder)
    assert agreement.tensors == len(original)
    assert agreement.max_relative_error <= agreement.bound == WEIGHT_BOUNDS[quantization]


def test_rows_that_no_block_holds_fall_back_to_half_precision(tmp_path: Path) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    write_tiny_base(folder, hidden_size=48, intermediate_size=96, num_attention_heads=4, num_key_value_heads=2)
    base = Base(name="odd", folder=folder)
    write_gguf(folder, base, Renderer(folder), tmp_path / "m.gguf", "Q8_0", "m")
    types = {tensor.name: tensor.tensor_type.name for tensor in read(tmp_path / "m.gguf").tensors}
    assert types["blk.0.ffn_down.weight"] == "Q8_0"
    assert types["blk.0.ffn_up.weight"] == types["token_embd.weight"] == "F16"
    check_weights(tmp_path / "m.gguf", folder)


def test_tied_embeddings_are_written_once(tmp_path: Path) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    write_tiny_base(folder, tie_word_embeddings=True)
    write_gguf(folder, Base(name="tied", folder=folder), Renderer(folder), tmp_path / "m.gguf", "F32", "m")
    names = [tensor.name for tensor in read(tmp_path / "m.gguf").tensors]
    assert "token_embd.weight" in names
    assert "output.weight" not in names


def test_what_the_file_says_of_itself(tiny_base: Base, tiny_renderer: Renderer, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    write_gguf(tiny_base.folder, tiny_base, tiny_renderer, path, "Q8_0", "my model")
    found = {key: value for key, (_, value) in metadata(path).items()}
    expected = {
        "general.architecture": "llama",
        "general.name": "my model",
        "general.file_type": 7,
        "general.quantization_version": 2,
        "llama.context_length": 4096,
        "llama.embedding_length": 64,
        "llama.block_count": 2,
        "llama.feed_forward_length": 128,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.rope.dimension_count": 16,
        "llama.rope.freq_base": 10000.0,
        "llama.vocab_size": 384,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": tiny_renderer.template,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert found["llama.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-6)
    whole = json.loads((tiny_base.folder / "tokenizer.json").read_text(encoding="utf-8"))
    tokens = found["tokenizer.ggml.tokens"]
    assert dict(zip(tokens, range(len(tokens)), strict=True)) == whole["model"]["vocab"]
    assert found["tokenizer.ggml.token_type"][:4] == [3, 3, 3, 1]
    assert found["tokenizer.ggml.merges"] == [" ".join(merge) for merge in whole["model"]["merges"]]


def test_a_gguf_bases_metadata_is_carried_over_key_by_key(
    tiny_base: Base, tiny_renderer: Renderer, tmp_path: Path
) -> None:
    source = tmp_path / "source.gguf"
    write_gguf(tiny_base.folder, tiny_base, tiny_renderer, source, "F16", "source")
    rich = tmp_path / "rich.gguf"
    writer = gguf.GGUFWriter(rich, arch="llama")
    for key, (types, value) in metadata(source).items():
        if key != "general.architecture":
            writer.add_key_value(key, value, types[0], types[-1] if len(types) > 1 else None)
    writer.add_string("general.license", "apache-2.0")
    writer.add_string("general.description", "naïve 🦉\nsecond line")
    writer.add_array("general.tags", ["a", "b"])
    writer.add_array("odd.numbers", [1.5, -2.0])
    writer.add_bool("odd.flag", True)
    writer.add_uint64("odd.large", 2**40)
    writer.add_int8("odd.small", -3)
    writer.add_float64("odd.double", 1e-300)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    base = Base(name="rich", folder=tiny_base.folder, gguf=rich)
    out = tmp_path / "out.gguf"
    write_gguf(tiny_base.folder, base, tiny_renderer, out, "Q8_0", "tuned")
    before, after = metadata(rich), metadata(out)
    made_here = {"general.name", "general.file_type", "general.quantization_version", "tokenizer.chat_template"}
    for key in before.keys() - made_here:
        if key != "locum.version":
            assert after[key] == before[key], key
    assert after["general.name"][1] == "tuned"
    assert after["general.file_type"][1] == 7
    assert after.keys() - before.keys() == set()


def test_a_file_made_from_a_file_that_was_made_here(tiny_base: Base, tiny_renderer: Renderer, tmp_path: Path) -> None:
    """Whoever trains on what they exported gets one version stamp, this one."""
    first, second = tmp_path / "first.gguf", tmp_path / "second.gguf"
    write_gguf(tiny_base.folder, tiny_base, tiny_renderer, first, "F32", "first")
    base = Base(name="first", folder=tiny_base.folder, gguf=first)
    write_gguf(tiny_base.folder, base, tiny_renderer, second, "F32", "second")
    assert metadata(second).keys() == metadata(first).keys()
    check_weights(second, tiny_base.folder)


# --- refusals


def refuse(base: Base, tmp_path: Path, quantization: str, *words: str) -> None:
    out = tmp_path / "out.gguf"
    with pytest.raises(ExportError) as refused:
        write_gguf(base.folder, base, Renderer(base.folder), out, quantization, "m")
    for word in words:
        assert word in str(refused.value)
    assert not out.exists()
    assert list(tmp_path.glob(".partial-*")) == []


def test_a_type_that_cannot_be_written(tiny_base: Base, tmp_path: Path) -> None:
    refuse(tiny_base, tmp_path, "Q3_K", "'Q3_K'", "Q8_0")


@pytest.fixture
def other_base(tiny_base: Base, tmp_path: Path) -> Base:
    folder = tmp_path / "folder"
    shutil.copytree(tiny_base.folder, folder)
    return Base(name="other", folder=folder)


def test_a_tokenizer_without_a_name_in_llama_cpp(other_base: Base, tmp_path: Path) -> None:
    path = other_base.folder / "tokenizer.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    whole["pre_tokenizer"]["pretokenizers"][0] = {"type": "Whitespace"}
    path.write_text(json.dumps(whole), encoding="utf-8")
    refuse(other_base, tmp_path, "F32", "pre-tokenizer", ".gguf file")


# --- reading back


def test_a_tensor_written_wrong_is_named(
    tiny_base: Base, tiny_renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = to_gguf_layout
    wrong = "model.layers.1.mlp.down_proj.weight"

    def doubled(name: str, array: Any, config: Any) -> Any:
        return right(name, array, config) * (2 if name == wrong else 1)

    monkeypatch.setattr(gguf_file, "to_gguf_layout", doubled)
    write_gguf(tiny_base.folder, tiny_base, tiny_renderer, tmp_path / "m.gguf", "Q8_0", "m")
    with pytest.raises(ExportError, match=rf"{wrong}.*100\.\d%.*Q8_0"):
        check_weights(tmp_path / "m.gguf", tiny_base.folder)


def test_a_tensor_that_is_no_number_is_named(tiny_base: Base, tiny_renderer: Renderer, tmp_path: Path) -> None:
    write_gguf(tiny_base.folder, tiny_base, tiny_renderer, tmp_path / "m.gguf", "F16", "m")
    damaged = bytearray((tmp_path / "m.gguf").read_bytes())
    damaged[-2:] = b"\xff\x7f"
    (tmp_path / "m.gguf").write_bytes(bytes(damaged))
    with pytest.raises(ExportError, match=r"lm_head\.weight.*inf%"):
        check_weights(tmp_path / "m.gguf", tiny_base.folder)
