"""The whole certificate, as `locum export` makes it: every shape passes in every type, and one wrong thing fails it."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shape_models import SHAPES, write_shape
from small_models import many_rows

from locum.errors import ExportError
from locum.export import ggml_library, gguf_file
from locum.export.gguf_file import write_gguf
from locum.export.parity import MEAN_BOUNDS, Parity, certify, engine_bound
from locum.export.quantize import QUANTIZATIONS
from locum.export.read_back import WeightAgreement, check_end, check_weights
from locum.runtime.llamacpp import LlamaCpp
from locum.runtime.scorer import Scorer
from locum.training.base import resolve_base
from locum.training.chat_template import Renderer
from locum.training.device import Device
from locum.training.gguf_base import open_gguf
from locum.training.gguf_config import context_length
from locum.training.gguf_layout import to_gguf_layout

WIDE: dict[str, Any] = {
    "hidden_size": 256,
    "intermediate_size": 256,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "initializer_range": 0.075,
}
"""Rows that hold whole blocks of K-quants, and logits as far apart as those of the narrow shapes."""
EXACT = Device("cpu", "float32")


def make(folder: Path, quantization: str, writer: Renderer | None = None) -> Path:
    """The model in `folder` as a file beside it, as the code stands; `writer` has the template that the file gets."""
    file = folder.parent / f"m.{quantization}.gguf"
    write_gguf(folder, resolve_base(str(folder)), writer or Renderer(folder), file, quantization, "m")
    return file


def certified(folder: Path, file: Path, quantization: str, weights: WeightAgreement | None = None) -> Parity:
    from transformers import AutoConfig

    window = min(1024, context_length(AutoConfig.from_pretrained(folder)))
    with LlamaCpp(file, context=window) as engine:
        return certify(
            Renderer(folder),
            engine,
            many_rows(),
            lambda: Scorer(None, folder, EXACT),
            lambda: Scorer(file, folder, EXACT),
            quantization=quantization,
            weights=weights,
        )


@pytest.fixture(scope="module", params=SHAPES)
def wide(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("wide") / "base"
    folder.mkdir()
    write_shape(folder, request.param, **WIDE)
    return request.param, folder


@pytest.mark.parametrize("quantization", ["F32", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M"])
def test_every_shape_is_certified_in_every_type(wide: tuple[str, Path], quantization: str) -> None:
    kind = QUANTIZATIONS[quantization]
    if kind.endswith("_K") and not ggml_library.is_present():
        pytest.skip("no ggml library is here")
    name, folder = wide
    file = make(folder, quantization)
    assert kind in {tensor.tensor_type.name for tensor in open_gguf(file).tensors}
    check_end(file, Renderer(folder))
    found = certified(folder, file, quantization, check_weights(file, folder))
    assert found.checked == found.identical == 8 + len(many_rows())
    assert found.refused == ()
    assert found.stops is not None
    assert found.stops.token == ("<end_of_turn>" if "gemma" in name else SHAPES[name]["eos"])
    assert found.calls is not None
    assert (found.calls.answers, found.calls.calls) == (6, 7)
    assert found.logprobs is not None
    assert found.logprobs.bound == MEAN_BOUNDS[quantization]
    assert found.own_weights is not None
    assert found.own_weights.bound == engine_bound(quantization)
    assert found.cost is not None


# --- what must fail, in shapes with different templates, tokenizers and layers

BROKEN = ["llama", "qwen3", "gemma3", "phi3"]


@pytest.fixture(scope="module", params=BROKEN)
def narrow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("narrow") / "base"
    folder.mkdir()
    write_shape(folder, request.param)
    return folder


def test_a_space_in_the_template(narrow: Path) -> None:
    writer = copy.copy(Renderer(narrow))
    before, mark, after = writer.template.rpartition("\n'")
    writer.template = f"{before} {mark}{after}"
    with pytest.raises(ExportError, match=r"llama\.cpp renders 'one question' differently from training"):
        certified(narrow, make(narrow, "F32", writer), "F32")


def test_another_end_in_the_file(narrow: Path) -> None:
    renderer = Renderer(narrow)
    writer = copy.copy(renderer)
    writer.end = renderer.tokens("a")[-1]
    with pytest.raises(ExportError, match=r"names '▁?a' as the end of a turn, and training ends it with '<"):
        check_end(make(narrow, "F32", writer), renderer)


def test_an_end_at_which_the_engine_does_not_stop(narrow: Path) -> None:
    file, other = make(narrow, "F32"), Renderer(narrow)
    other.end = other.tokens("a")[-1]
    with LlamaCpp(file, context=512) as engine, pytest.raises(ExportError, match=r"does not stop at '▁?a'"):
        certify(other, engine, [])


def head_turned(name: str, array: Any) -> Any:
    if not any(part in name for part in ("q_proj", "qkv_proj")):
        return array
    made = array.copy()
    first = made[: made.shape[0] // 4]
    first[:] = first[::-1].copy()
    return made


def norm_doubled(name: str, array: Any) -> Any:
    return array * 2 if "post_attention_layernorm" in name else array


def matrix_halved(name: str, array: Any) -> Any:
    # Gemma norms what comes out of a block, so that no size shows there.
    return array / 2 if "gate_proj" in name or "gate_up_proj" in name else array


@pytest.mark.parametrize("damage", [head_turned, norm_doubled, matrix_halved])
def test_one_layer_written_wrong(
    narrow: Path, damage: Callable[[str, Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both by the tensors and by what the engine makes of them."""

    def layout(name: str, array: Any, config: Any) -> Any:
        made = to_gguf_layout(name, array, config)
        return damage(name, made) if "layers.1" in name else made

    monkeypatch.setattr(gguf_file, "to_gguf_layout", layout)
    file = make(narrow, "F32")
    with pytest.raises(ExportError, match=r"layers\.1.*written wrong"):
        check_weights(file, narrow)
    with pytest.raises(ExportError, match="nats off those of the fused model"):
        certified(narrow, file, "F32")
