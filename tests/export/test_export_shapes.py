"""Every architecture, written by the exporter and served by llama.cpp, predicts what transformers predicts."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from msgspec import Struct
from safetensors.numpy import load_file
from shape_models import SHAPES, train_byte_level, write_shape
from small_models import damage_config, many_rows, sentences

from locum.errors import BaseError
from locum.export.conversations import conversations
from locum.export.gguf_file import write_gguf
from locum.export.log_probabilities import LogprobAgreement, agreement
from locum.export.parity import MEAN_BOUNDS
from locum.runtime.llamacpp import LlamaCpp
from locum.training.base import Base, resolve_base
from locum.training.chat_template import Renderer
from locum.training.pre_tokenizers import PRE_TOKENIZERS

ODD = (
    "  naïve 🦉 \t12345  'quoted' \\n {{x}} <b> 中文\r\n\n\nend ",
    "I'll we've DON'T 1234567 a   b\n\n  c",
    "HTTPServer camelCase 12.5% ...!!! //\n/ ÀÉ",
    "\n\n\n",
    "          deep",
    *sentences(),
)


class Plain:
    """A model as transformers itself computes it, in float32."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        self._model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager"
        ).eval()

    def next_log_probabilities(self, prompt: Sequence[int]) -> npt.NDArray[np.float32]:
        import torch

        with torch.no_grad():
            logits = self._model(torch.tensor([list(prompt)])).logits[0, -1]
        found: npt.NDArray[np.float32] = torch.log_softmax(logits, dim=-1).numpy()
        return found


def compare(engine: LlamaCpp, plain: Plain, prompts: Sequence[Sequence[int]]) -> LogprobAgreement:
    """The engine against transformers after each prompt."""
    served = [engine.next_tokens(prompt, 5) for prompt in prompts]
    return agreement(served, [plain.next_log_probabilities(prompt) for prompt in prompts], MEAN_BOUNDS["F32"])


class Shape(Struct, frozen=True):
    """A tiny model of one shape, as a folder and as a file that an engine has open."""

    name: str
    base: Base
    renderer: Renderer
    file: Path
    engine: LlamaCpp
    plain: Plain

    def prompts(self) -> list[list[int]]:
        """Of several lengths, beyond Gemma's window of 16."""
        tokens = self.renderer.tokens(" ".join(sentences()))
        return [tokens[:length] for length in (1, 2, 9, 40, 100)]


@pytest.fixture(scope="module", params=SHAPES)
def shape(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shape]:
    folder = tmp_path_factory.mktemp("shape") / "base"
    folder.mkdir()
    write_shape(folder, request.param)
    base = resolve_base(str(folder))
    renderer = Renderer(folder)
    file = folder.parent / "m.gguf"
    write_gguf(folder, base, renderer, file, "F32", "m")
    with LlamaCpp(file, context=512) as engine:
        yield Shape(request.param, base, renderer, file, engine, Plain(folder))


def test_it_predicts_what_transformers_predicts(shape: Shape) -> None:
    found = compare(shape.engine, shape.plain, shape.prompts())
    assert found.tokens == 25
    # What llama.cpp's half-precision cache costs.
    assert found.max_abs_difference < 0.02


def test_it_cuts_text_as_training_does(shape: Shape) -> None:
    for text in ODD:
        assert shape.engine.tokenize(text) == shape.renderer.tokens(text), text


def test_it_renders_every_conversation_as_training_does(shape: Shape) -> None:
    for name, messages, tools in conversations(many_rows(), 24):
        ours = shape.renderer.prompt_text(messages, tools)
        assert shape.engine.render(messages, tools) == ours, name
        assert shape.engine.tokenize(ours) == shape.renderer.tokens(ours), name


def test_every_row_can_be_trained_on(shape: Shape) -> None:
    for row in many_rows():
        encoded = shape.renderer.encode(row)
        assert encoded.tokens[-1] == shape.renderer.end
        assert 0 < encoded.response_start < len(encoded.tokens) - 1


def test_it_comes_back_as_the_same_base(shape: Shape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCUM_CACHE", str(tmp_path))
    back = resolve_base(str(shape.file))
    before = load_file(shape.base.folder / "model.safetensors")
    after = load_file(back.folder / "model.safetensors")
    assert after.keys() == before.keys()
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, atol=1e-7, err_msg=name)
    plain = Plain(back.folder)
    for prompt in shape.prompts():
        np.testing.assert_allclose(
            plain.next_log_probabilities(prompt), shape.plain.next_log_probabilities(prompt), atol=2e-4
        )
    renderer = Renderer(back.folder)
    assert (renderer.end, renderer.template) == (shape.renderer.end, shape.renderer.template)
    for text in ODD:
        assert renderer.tokens(text) == shape.renderer.tokens(text), text
    again = tmp_path / "again.gguf"
    write_gguf(back.folder, back, renderer, again, "F32", "m")
    assert described(again) == described(shape.file)


def described(path: Path) -> dict[str, Any]:
    from gguf import GGUFReader

    reader = GGUFReader(path)
    told = {key: field.contents() for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    return told | {tensor.name: (tensor.tensor_type, list(tensor.shape)) for tensor in reader.tensors}


# --- tokenizers


@pytest.mark.parametrize("pre", PRE_TOKENIZERS)
def test_every_way_of_splitting_is_llama_cpps(pre: str, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    write_shape(folder, "qwen2", vocab_size=460)
    whole = train_byte_level(pre, ("<|endoftext|>", "<|im_start|>", "<|im_end|>"), 460)
    (folder / "tokenizer.json").write_text(json.dumps(whole), encoding="utf-8")
    damage_config(folder, vocab_size=460)
    renderer = Renderer(folder)
    write_gguf(folder, resolve_base(str(folder)), renderer, tmp_path / "m.gguf", "F16", "m")
    with LlamaCpp(tmp_path / "m.gguf", context=128) as engine:
        for text in ODD:
            assert engine.tokenize(text) == renderer.tokens(text), text


# --- settings that the engine cannot follow


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("llama", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "'dynamic'"),
        ("gemma2", {"query_pre_attn_scalar": 144}, "scales attention by 144"),
        ("gemma3", {"layer_types": ["full_attention"] * 7}, "windowed layers"),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}, "within a window"),
        ("llama", {"hidden_act": "gelu"}, "'gelu'"),
    ],
)
def test_what_the_engine_cannot_follow_is_refused(
    name: str, changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    write_shape(folder, name, **changes)
    with pytest.raises(BaseError, match=words):
        write_gguf(folder, resolve_base(str(folder)), Renderer(folder), tmp_path / "m.gguf", "F32", "m")
    assert not (tmp_path / "m.gguf").exists()


@pytest.mark.parametrize(
    ("name", "expected"), [("mistral", 1024), ("phi3", 512), ("gemma3", 4096), ("llama", 4096), ("qwen3", 4096)]
)
def test_the_file_claims_no_more_context_than_engine_and_training_share(
    name: str, expected: int, tmp_path: Path
) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    write_shape(folder, name)
    write_gguf(folder, resolve_base(str(folder)), Renderer(folder), tmp_path / "m.gguf", "F16", "m")
    told = described(tmp_path / "m.gguf")
    assert told[f"{told['general.architecture']}.context_length"] == expected


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0, "original_max_position_embeddings": 1024},
        {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0},
    ],
)
def test_scaled_positions_of_qwen(rope: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    write_shape(folder, "qwen3", rope_parameters=rope)
    renderer = Renderer(folder)
    write_gguf(folder, resolve_base(str(folder)), renderer, tmp_path / "m.gguf", "F32", "m")
    tokens = renderer.tokens(" ".join(sentences()))
    with LlamaCpp(tmp_path / "m.gguf", context=256) as engine:
        found = compare(engine, Plain(folder), [tokens[:9], tokens[:100]])
    assert found.max_abs_difference < 0.02
