"""What a model takes in memory is reckoned from its header, and one that does not fit is refused in one line."""

import re
from pathlib import Path

import psutil
import pytest
from small_models import user

from locum.errors import EngineError
from locum.export.gguf_file import write_gguf
from locum.runtime import memory
from locum.runtime.embedded import Embedded
from locum.runtime.llamacpp import LlamaCpp
from locum.runtime.protocol import Sampling
from locum.training.base import Base
from locum.training.chat_template import Renderer


@pytest.fixture
def model(tiny_base: Base, tiny_renderer: Renderer, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    write_gguf(tiny_base.folder, tiny_base, tiny_renderer, path, "F32", "tiny")
    return path


def test_the_need_is_that_of_the_models_shape(model: Path) -> None:
    """Two layers, two heads of keys and of values of 16 numbers each, 384 words."""
    found = memory.need(model, context=1000)
    assert found.weights == model.stat().st_size
    assert found.context == 1000 * 2 * (2 * 16 + 2 * 16) * 2
    assert found.work == 4 * 512 * 384
    assert found.total == found.weights + found.context + found.work


@pytest.mark.parametrize(
    "raw", [b"", b"GGUF", b"no model at all, but long enough for a header", b"GGUF" + b"\xff" * 60]
)
def test_what_is_no_model_counts_with_its_size(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "m.gguf").write_bytes(raw)
    assert memory.need(tmp_path / "m.gguf", 1000) == memory.Need(len(raw), 0, 0)


def test_a_header_that_ends_early_counts_with_its_size(model: Path, tmp_path: Path) -> None:
    raw = model.read_bytes()
    for end in range(0, 600, 7):
        (tmp_path / "cut.gguf").write_bytes(raw[:end])
        assert memory.need(tmp_path / "cut.gguf", 1000).weights == end


def test_a_model_that_does_not_fit_is_refused_with_need_and_have(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 2_000_000_000)
    with pytest.raises(EngineError) as refused:
        LlamaCpp(model, context=50_000_000)
    said = str(refused.value)
    assert re.search(
        r"'tiny\.gguf' takes 12\.8 GB of memory .* 12\.8 GB for 50,000,000 tokens.* 2\.0 GB are free", said
    )
    assert "--quant" in said
    assert "\n" not in said


def test_files_that_are_open_already_are_no_free_memory(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    total = memory.need(model, 4096).total
    monkeypatch.setattr(memory, "available", lambda: total)
    memory.require_memory(model, 4096)
    with pytest.raises(EngineError, match="are free"):
        memory.require_memory(model, 4096, mapped=1)


def test_an_engine_is_refused_beside_those_that_are_open_wherever_it_is_started(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = model.parent / "other.gguf"
    other.write_bytes(model.read_bytes())
    monkeypatch.setattr(memory, "available", lambda: memory.need(model, 4096).total + model.stat().st_size - 1)
    with LlamaCpp(model):
        with pytest.raises(EngineError, match=r"'other\.gguf' takes"):
            LlamaCpp(other)
        LlamaCpp(model).close()  # its pages are there already
    LlamaCpp(other).close()


def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CONTROL_GROUP", tmp_path)
    whole = memory.available()
    assert 0 < whole <= psutil.virtual_memory().total
    for name, text in (
        ("memory.max", "1000000\n"),
        ("memory.current", "700000\n"),
        ("memory.stat", "anon 400000\ninactive_file 200000\nactive_file 50000\n"),
    ):
        (tmp_path / name).write_text(text)
    assert memory.available() == 1_000_000 - 700_000 + 250_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available() > 1_000_000


def test_one_engine_a_file_and_all_closed_together(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Embedded() as engines:
        first = engines.open(model)
        assert engines.open(model.parent / ".." / model.parent.name / model.name) is first
        (model.parent / "other.gguf").write_bytes(model.read_bytes())
        monkeypatch.setattr(memory, "available", lambda: memory.need(model, 4096).total + model.stat().st_size - 1)
        with pytest.raises(EngineError, match=r"'other\.gguf' takes"):
            engines.open(model.parent / "other.gguf")
        assert list(first.chat([user("?")], Sampling(max_tokens=1))), "the one that runs goes on"
    with pytest.raises(RuntimeError, match="closed"):
        list(first.chat([user("?")], Sampling(max_tokens=1)))
