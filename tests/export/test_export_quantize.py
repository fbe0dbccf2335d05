"""Each tensor gets the type that llama.cpp would give it, and every type's encoding can be read back."""

from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import write_tiny_base

from locum.errors import ExportError
from locum.export import ggml_library
from locum.export.gguf_file import write_gguf
from locum.export.quantize import QUANTIZATIONS, encode, require_quantization, tensor_type
from locum.export.read_back import WEIGHT_BOUNDS, check_weights
from locum.training.base import Base
from locum.training.chat_template import Renderer

gguf = pytest.importorskip("gguf")
native = pytest.mark.skipif(not ggml_library.is_present(), reason="no ggml library is here")
KINDS = sorted(set(QUANTIZATIONS.values()) - {"F32"})
K_QUANTS = [kind for kind in KINDS if kind.endswith("_K")]


def relative_error(values: npt.NDArray[np.float32], kind: str) -> float:
    number = gguf.GGMLQuantizationType[kind]
    back = gguf.dequantize(np.asarray(encode(values, kind)), number).reshape(values.shape)
    return float(np.linalg.norm(back - values) / np.linalg.norm(values))


@native
@pytest.mark.parametrize("kind", KINDS)
def test_normal_values_lose_a_third_of_what_is_allowed(kind: str) -> None:
    values = np.random.default_rng(5).normal(size=(64, 512)).astype(np.float32)
    error = relative_error(values, kind)
    assert WEIGHT_BOUNDS[kind] / 8 < error <= WEIGHT_BOUNDS[kind] / (1.4 if kind == "BF16" or kind == "F16" else 2.8)


@native
@pytest.mark.parametrize("kind", ["Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0"])
def test_the_library_writes_what_the_package_writes(kind: str) -> None:
    """An independent oracle of the call itself: type numbers, row order, block sizes."""
    values = np.random.default_rng(6).normal(size=(33, 96)).astype(np.float32)
    expected = encode(values, kind)
    found = ggml_library.encode_blocks(values, int(gguf.GGMLQuantizationType[kind]), expected.shape[-1])
    np.testing.assert_array_equal(found, expected)


@native
@given(rows=st.integers(1, 5), blocks=st.integers(1, 3), scale=st.floats(1e-2, 1e3), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
@pytest.mark.parametrize("kind", K_QUANTS)
def test_k_quants_of_any_shape_and_size(kind: str, rows: int, blocks: int, scale: float, seed: int) -> None:
    values = (np.random.default_rng(seed).normal(size=(rows, 256 * blocks)) * scale).astype(np.float32)
    assert relative_error(values, kind) <= WEIGHT_BOUNDS[kind]
    # Each row is encoded by itself: its bytes do not depend on its neighbours.
    np.testing.assert_array_equal(encode(values, kind)[:1], encode(values[:1], kind))


def kinds_of(quantization: str, layers: int, columns: int = 512, tied: bool = False) -> Counter[str]:
    names = [f"blk.{layer}.{part}.weight" for layer in range(layers) for part in ("attn_q", "attn_v", "ffn_down")]
    return Counter(tensor_type(name, columns, quantization, layers, matrix=True, tied=tied) for name in names)


def in_q6(quantization: str, layers: int, part: str) -> list[int]:
    return [
        layer
        for layer in range(layers)
        if tensor_type(f"blk.{layer}.{part}.weight", 512, quantization, layers, matrix=True, tied=False) == "Q6_K"
    ]


@pytest.mark.parametrize("quantization", ["Q4_K_M", "Q5_K_M"])
def test_the_m_mixes_give_more_bits_to_the_layers_that_llama_cpp_chooses(quantization: str) -> None:
    # By its rule for 16 layers: the first two, the last two, and every third from the fifth on.
    assert in_q6(quantization, 16, "attn_v") == in_q6(quantization, 16, "ffn_down") == [0, 1, 4, 7, 10, 13, 14, 15]
    assert in_q6(quantization, 30, "attn_v") == [0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 26, 27, 28, 29]
    assert in_q6(quantization, 16, "attn_qkv") == [0, 1, 4, 7, 10, 13, 14, 15]
    assert in_q6(quantization, 16, "attn_q") == in_q6(quantization, 16, "ffn_up") == []


def test_the_output_matrix_has_more_bits() -> None:
    def kind(quantization: str, name: str, tied: bool, columns: int = 512) -> str:
        return tensor_type(name, columns, quantization, 4, matrix=True, tied=tied)

    assert kind("Q4_K_M", "output.weight", False) == kind("Q4_K_M", "token_embd.weight", True) == "Q6_K"
    assert kind("Q4_K_M", "token_embd.weight", False) == "Q4_K"
    assert kind("Q4_K_M", "token_embd.weight", True, columns=576) == "Q8_0"
    assert kind("Q4_0", "output.weight", False) == kind("Q5_1", "token_embd.weight", True) == "Q8_0"
    assert kind("F16", "output.weight", False) == "F16"


def test_rows_that_are_no_multiple_of_256_fall_back_as_in_llama_cpp() -> None:
    assert kinds_of("Q4_K_M", 16, columns=576) == {"Q5_0": 32, "Q8_0": 16}
    assert kinds_of("Q5_K_M", 16, columns=576) == {"Q5_1": 32, "Q8_0": 16}
    assert kinds_of("Q6_K", 16, columns=576) == {"Q8_0": 48}
    assert kinds_of("Q4_0", 16, columns=576) == {"Q4_0": 48}
    assert kinds_of("Q4_K_M", 16, columns=48) == {"F16": 48}


def test_vectors_and_norms_stay_whole() -> None:
    for quantization in QUANTIZATIONS:
        assert tensor_type("blk.0.attn_norm.weight", 512, quantization, 4, matrix=False, tied=False) == "F32"
        assert tensor_type("blk.0.attn_q.bias", 512, quantization, 4, matrix=False, tied=False) == "F32"


@native
@pytest.mark.parametrize("quantization", ["Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0"])
def test_a_model_whose_rows_hold_whole_blocks(tmp_path: Path, quantization: str) -> None:
    """256 columns: every K-quant of the mix is really written, and reads back as the model."""
    folder = tmp_path / "base"
    folder.mkdir()
    write_tiny_base(folder, hidden_size=256, intermediate_size=256, num_attention_heads=4, num_key_value_heads=2)
    path = tmp_path / "m.gguf"
    write_gguf(folder, Base(name="wide", folder=folder), Renderer(folder), path, quantization, "m")
    reader = gguf.GGUFReader(path)
    kinds = {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}
    assert kinds["blk.0.attn_q.weight"] == QUANTIZATIONS[quantization]
    if quantization == "Q4_K_M":
        assert Counter(kinds.values()) == {"Q4_K": 13, "Q6_K": 3, "F32": 5}
    expected = "ALL_F32" if quantization == "F32" else f"MOSTLY_{quantization}"
    assert gguf.LlamaFileType(reader.get_field("general.file_type").contents()).name == expected
    found = check_weights(path, folder)
    assert found.max_relative_error <= found.bound


def test_without_a_library_k_quants_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "libggml-base.so"
    other.write_bytes(b"no library")
    monkeypatch.setenv("LOCUM_GGML", str(other))
    assert not ggml_library.is_present()
    with pytest.raises(ExportError, match=r"can write 'Q4_K_M'.*LOCUM_GGML, or choose Q8_0"):
        require_quantization("Q4_K_M")
    require_quantization("Q4_0")
    with pytest.raises(ExportError, match=r"no ggml library is here .*libggml-base\.so"):
        encode(np.zeros((1, 256), np.float32), "Q4_K")
    monkeypatch.setenv("LOCUM_GGML", str(tmp_path / "gone.so"))
    with pytest.raises(ExportError, match=r"LOCUM_GGML names '.*gone\.so', which is no file"):
        require_quantization("Q4_K_M")


def test_an_unknown_type_lists_those_that_there_are() -> None:
    with pytest.raises(ExportError, match=r"cannot write the type 'Q3_K'; choose one of F32, .*Q4_0"):
        require_quantization("Q3_K")
