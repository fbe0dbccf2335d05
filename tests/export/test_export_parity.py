"""The certificate, made with the real engine: it passes what was written right, and names what was not."""

import copy
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import json
from small_models import many_rows, row, says, unasked_posts, user

from locum.errors import ExportError
from locum.export import gguf_file, tokenizer_file
from locum.export.base_file import base_model_file
from locum.export.conversations import conversations
from locum.export.gguf_file import write_gguf
from locum.export.parity import MEAN_BOUNDS, Parity, certify, first_difference
from locum.runtime.llamacpp import LlamaCpp
from locum.runtime.scorer import Scorer
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.device import Device
from locum.training.gguf_layout import to_gguf_layout

EXACT = Device("cpu", "float32")


@pytest.fixture
def make(tiny_base: Base, tiny_renderer: Renderer, tmp_path: Path) -> Callable[..., Parity]:
    """Write the tiny base, as the code stands, and certify it."""

    def certified(quantization: str = "F32", writer: Renderer | None = None, base: Base | None = None) -> Parity:
        path = tmp_path / "m.gguf"
        write_gguf(tiny_base.folder, base or tiny_base, writer or tiny_renderer, path, quantization, "m")
        with LlamaCpp(path) as engine:
            return certify(
                tiny_renderer,
                engine,
                many_rows(),
                lambda: Scorer(None, tiny_base.folder, EXACT),
                lambda: Scorer(path, tiny_base.folder, EXACT),
                quantization=quantization,
            )

    return certified


@pytest.mark.parametrize("quantization", ["F32", "F16", "BF16", "Q8_0", "Q4_0"])
def test_a_file_written_right_is_certified(make: Callable[..., Parity], quantization: str) -> None:
    found = make(quantization)
    assert found.engine == "llama.cpp"
    assert found.checked == found.identical == len(found.conversations) == 8 + len(many_rows())
    assert found.logprobs is not None
    assert (found.logprobs.prompts, found.logprobs.tokens) == (8, 40)
    assert found.refused == ()
    assert (found.stops.prompts, found.stops.token) == (8, "<|im_end|>") if found.stops else False
    assert (found.calls.answers, found.calls.calls) == (6, 7) if found.calls else False
    assert found.own_weights is not None
    assert found.own_weights.mean_abs_difference <= found.own_weights.bound
    assert found.cost is not None
    assert found.cost.nats_per_token == found.cost.file - found.cost.fused
    assert abs(found.cost.nats_per_token) < {"F32": 1e-5, "F16": 1e-3, "BF16": 0.02}.get(quantization, 0.1)
    assert found.logprobs.mean_abs_difference <= found.logprobs.bound == MEAN_BOUNDS[quantization]
    assert found.logprobs.mean_abs_difference <= found.logprobs.max_abs_difference
    assert json.decode(json.encode(found), type=Parity) == found


def test_the_real_base_is_certified(small_base: Base) -> None:
    renderer = Renderer(small_base.folder)
    path = base_model_file(small_base, renderer, "Q8_0")
    with LlamaCpp(path) as engine:
        found = certify(
            renderer,
            engine,
            [*many_rows(), *unasked_posts()],
            lambda: Scorer(None, small_base.folder, EXACT),
            quantization="Q8_0",
        )
    assert found.checked == found.identical
    assert found.refused == ()
    assert found.logprobs is not None
    assert found.logprobs.mean_abs_difference < MEAN_BOUNDS["Q8_0"]


# --- what must fail


def refuse(make: Callable[..., Parity], *words: str, **arguments: Any) -> None:
    with pytest.raises(ExportError) as refused:
        make(**arguments)
    for word in words:
        assert word in str(refused.value)


def test_one_space_in_the_template(make: Callable[..., Parity], tiny_renderer: Renderer) -> None:
    writer = copy.copy(tiny_renderer)
    writer.template = tiny_renderer.template.replace("assistant\\n' -}}", "assistant \\n' -}}")
    assert writer.template != tiny_renderer.template
    refuse(
        make,
        "llama.cpp renders 'one question' differently from training",
        "<|im_start|>assistant' training has '\\n', the engine has ' \\n'",
        writer=writer,
    )


def test_another_default_system_text(make: Callable[..., Parity], tiny_renderer: Renderer) -> None:
    writer = copy.copy(tiny_renderer)
    writer.template = tiny_renderer.template.replace("You are Tiny", "You are Huge")
    refuse(make, "'one question'", "training has 'Tiny", "the engine has 'Huge", writer=writer)


@pytest.mark.parametrize("quantization", ["F32", "Q8_0"])
def test_rotary_rows_out_of_order(
    make: Callable[..., Parity], monkeypatch: pytest.MonkeyPatch, quantization: str
) -> None:
    right = to_gguf_layout

    def unpermuted(name: str, array: Any, config: Any) -> Any:
        return array if "q_proj" in name else right(name, array, config)

    monkeypatch.setattr(gguf_file, "to_gguf_layout", unpermuted)
    refuse(make, "nats off those of the fused model", f"at most {MEAN_BOUNDS[quantization]}", quantization=quantization)


def test_one_tensor_at_twice_its_size(make: Callable[..., Parity], monkeypatch: pytest.MonkeyPatch) -> None:
    right = to_gguf_layout

    def doubled(name: str, array: Any, config: Any) -> Any:
        return right(name, array, config) * (2 if name == "model.layers.1.mlp.down_proj.weight" else 1)

    monkeypatch.setattr(gguf_file, "to_gguf_layout", doubled)
    refuse(make, "nats off those of the fused model")


def test_another_way_of_splitting_text(make: Callable[..., Parity], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_file, "_pre_tokenizer_name", lambda whole: "default")
    refuse(make, "tokenizes", "differently from training, first at token", "trained on [", "served as [")


def test_a_merge_that_is_missing(make: Callable[..., Parity], monkeypatch: pytest.MonkeyPatch) -> None:
    from gguf import GGUFWriter

    whole = GGUFWriter.add_token_merges
    monkeypatch.setattr(GGUFWriter, "add_token_merges", lambda self, merges: whole(self, merges[:-60]))
    refuse(make, "tokenizes", "differently from training")


# --- with an engine of our own: what is compared, and how it is told


class Echo:
    """An engine that serves exactly what training renders, but for what a test changes."""

    name = "echo"

    def __init__(self, renderer: Renderer, **answers: Any) -> None:
        self.renderer, self.answers = renderer, answers

    def render(self, messages: Sequence[Any], tools: Sequence[Any] = ()) -> str:
        return str(self.answers.get("text", self.renderer.prompt_text(messages, tools)))

    def tokenize(self, text: str) -> list[int]:
        tokens = self.renderer.tokens(text)
        return tokens[: len(tokens) - int(self.answers.get("short", 0))]

    def next_tokens(self, prompt: Sequence[int], count: int) -> Any:
        raise AssertionError("nothing asked for probabilities")


def test_tokens_that_end_early_are_shown(tiny_renderer: Renderer) -> None:
    with pytest.raises(ExportError, match=r"'one question'.*first at token \d+, near '.*istant.*served as \[\]"):
        certify(tiny_renderer, Echo(tiny_renderer, short=1), [])


def test_without_a_predictor_only_text_and_tokens_are_checked(tiny_renderer: Renderer) -> None:
    found = certify(tiny_renderer, Echo(tiny_renderer), many_rows(), limit=3)
    assert found.checked == found.identical == 11
    assert found.logprobs is None


class _Broken(Echo):
    def score(self, rows: Sequence[Any]) -> Any:
        raise AssertionError("there is no row")

    def next_tokens(self, prompt: Sequence[int], count: int) -> Any:
        from locum.runtime.protocol import Candidate

        return [Candidate(token, -1.0) for token in range(count)]

    def next_log_probabilities(self, prompt: Sequence[int]) -> Any:
        return np.full(384, np.nan, np.float32)


def test_probabilities_that_are_no_numbers_fail(tiny_renderer: Renderer) -> None:
    broken = _Broken(tiny_renderer)
    with pytest.raises(ExportError, match="nan nats off"):
        certify(tiny_renderer, broken, [], lambda: nullcontext(broken))


def test_held_out_prompts_are_spread_over_the_rows() -> None:
    rows = [row(user(f"Question {i}"), says("Yes.")) for i in range(100)]
    names = [name for name, _, _ in conversations(rows, 10)]
    assert names[8:] == [f"held-out row {rows[i].id[:12]}" for i in range(0, 100, 10)]
    assert len(conversations(rows, 0)) == 8
    assert len({name for name, _, _ in conversations([], 10)}) == 8


@pytest.mark.parametrize(
    ("ours", "theirs", "shown"),
    [
        ("abc", "abd", "after 'ab' training has 'c', the engine has 'd'"),
        ("abc", "ab", "after 'ab' training has 'c', the engine has ''"),
        ("", "x", "after '' training has '', the engine has 'x'"),
    ],
)
def test_the_first_difference(ours: str, theirs: str, shown: str) -> None:
    assert first_difference(ours, theirs) == shown
