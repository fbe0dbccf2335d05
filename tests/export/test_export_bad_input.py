"""Damaged bases and adapters, adapters of another base, and no space: one line, and nothing under the final name."""

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from command import Command
from fake_ollama import FakeOllama, serving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from small_models import write_adapter, write_tiny_base

from locum import files
from locum.errors import BaseError, ExportError, LocumError
from locum.export.fuse import check_adapter, fuse
from locum.export.gguf_file import write_gguf
from locum.training.base import Base, resolve_base
from locum.training.chat_template import Renderer

pytestmark = [
    pytest.mark.usefixtures("float32"),
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]
WEIGHTS = "adapter_model.safetensors"
A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A base of its own, and a run with an adapter on it, as `locum train` leaves it."""
    (tmp_path / "base").mkdir()
    write_tiny_base(tmp_path / "base")
    folder = tmp_path / "run"
    write_adapter(tmp_path / "base", folder / "adapter")
    base = resolve_base(str(tmp_path / "base"))
    files.write_json(folder / "adapter" / "base.json", {"name": base.name, "fingerprint": base.fingerprint()})
    (folder / "dataset").mkdir()
    for split in ("train", "valid", "test"):
        (folder / "dataset" / f"{split}.jsonl").touch()
    return folder


def change(path: Path, edit: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    state = load_file(path)
    edit(state)
    save_file(state, path, metadata={"format": "pt"})


def untouched(run: Path) -> bool:
    return sorted(path.name for path in run.iterdir()) == ["adapter", "dataset"]


def resolve(run: Path) -> Base:
    return resolve_base(str(run.parent / "base"))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_base_that_is_cut_short(run: Path, share: float) -> None:
    weights = run.parent / "base" / "model.safetensors"
    raw = weights.read_bytes()
    weights.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(BaseError, match=r"is damaged: model\.safetensors .*fetch it again"):
        resolve(run)


def test_a_base_that_was_cut_short_after_training(run: Path, locum: Command) -> None:
    weights = run.parent / "base" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "is damaged: model.safetensors" in locum("export", str(run)).error
    assert untouched(run)


@given(at=st.integers(0, 400), value=st.integers(0, 255))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_byte_changed_in_an_adapters_header(run: Path, at: int, value: int) -> None:
    """Whatever it makes of the header: no error but Locum's own."""
    path = run / "adapter" / WEIGHTS
    raw = path.read_bytes()
    path.write_bytes(raw[:at] + bytes([value]) + raw[at + 1 :])
    with suppress(LocumError):
        check_adapter(resolve(run), run / "adapter")
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda state: state.pop(A.replace("lora_A", "lora_B")), "is damaged"),
        (lambda state: state.update({A: state[A][:2].clone()}), r"is damaged .*the rank is 4"),
        (lambda state: state.update({A: state[A][:, :-1].clone()}), r"in the shape \(64, 63\).*base' has \(64, 64\)"),
        (lambda state: state[A].fill_(math.nan), r"q_proj\.weight' holds what is no number"),
        (lambda state: state[A].fill_(math.inf), r"q_proj\.weight' holds what is no number"),
        (lambda state: state.update({A.replace("layers.0", "layers.5"): state[A].clone(),
                                     A.replace("layers.0", "layers.5").replace("_A", "_B"): torch.zeros(64, 4)}),
         r"layers\.5.*does not have"),
    ],
)  # fmt: skip
def test_an_adapter_that_does_not_fit(run: Path, edit: Callable[..., Any], words: str) -> None:
    change(run / "adapter" / WEIGHTS, edit)
    base = resolve(run)
    with pytest.raises(ExportError, match=words):
        fuse(base, run / "adapter", run / "fused", Renderer(base.folder))
    assert untouched(run)


@pytest.mark.parametrize(
    "config", ["", "[]", "null", "{}", '{"r": 4}', '{"r": 0, "lora_alpha": 8}', '{"r": "x", "lora_alpha": 8}',
               '{"r": 4, "lora_alpha": NaN}', '{"r": 4, "lora_alpha": null}'],
)  # fmt: skip
def test_an_adapter_whose_settings_are_none(run: Path, config: str) -> None:
    (run / "adapter" / "adapter_config.json").write_text(config)
    with pytest.raises(ExportError, match=r"is damaged .*train it again"):
        check_adapter(resolve(run), run / "adapter")


def test_a_base_with_a_weight_that_is_no_number(run: Path) -> None:
    change(run.parent / "base" / "model.safetensors", lambda state: state["model.norm.weight"].fill_(math.nan))
    (run / "adapter" / "base.json").unlink()
    base = resolve(run)
    with pytest.raises(ExportError, match=r"'model\.norm\.weight' holds what is no number"):
        fuse(base, run / "adapter", run / "fused", Renderer(base.folder))
    assert untouched(run)


def test_an_adapter_of_another_base_by_its_digest(run: Path, locum: Command) -> None:
    change(run.parent / "base" / "model.safetensors", lambda state: state["model.norm.weight"].add_(1.0))
    assert "was trained on other weights than those of" in locum("export", str(run)).error
    assert untouched(run)


def test_no_space_while_exporting(run: Path, locum: Command) -> None:
    """At every place where the room may run out: in the fused model, and in the model file."""
    whole = (run.parent / "base" / "model.safetensors").stat().st_size
    assert "the disk is full" in locum("export", str(run), limit=whole // 2).error
    assert untouched(run)
    base = resolve(run)
    write_gguf(base.folder, base, Renderer(base.folder), run.parent / "m.gguf", "F32", "m")
    limit = (run.parent / "m.gguf").stat().st_size - 4096
    assert whole < limit, "the fused model fits, the file does not"
    assert "the disk is full" in locum("export", str(run), "--quant", "F32", limit=limit).error
    assert sorted(path.name for path in run.iterdir()) == ["adapter", "dataset", "fused"]


# --- an Ollama that fails


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    with serving() as server:
        yield server


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        (lambda fake: setattr(fake, "dies", True), "did not take the model 'mine'"),
        (lambda fake: setattr(fake, "on_generate", lambda asked: {"response": "", "done": False}), "broke off"),
    ],
)
def test_an_ollama_that_fails_is_told_in_one_line_and_keeps_what_it_had(
    run: Path, locum: Command, fake: FakeOllama, fails: Callable[[FakeOllama], None], words: str
) -> None:
    base = resolve(run)
    write_gguf(base.folder, base, Renderer(base.folder), run / "model" / "mine.F32.gguf", "F32", "mine")
    fake.made["mine:latest"] = {"template": "of before"}
    fails(fake)
    said = locum("deploy", str(run), "--name", "mine", "--force", env={"OLLAMA_HOST": fake.host})
    assert words in said.error
    assert fake.made == {"mine:latest": {"template": "of before"}}
