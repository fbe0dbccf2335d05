"""The adapter alone: on the base's own file it makes the engine answer as the fused model does."""

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from shape_models import write_shape
from small_models import sentences, write_adapter
from test_export_shapes import Plain, compare

from locum import files
from locum.errors import ExportError
from locum.export.adapter_file import write_lora_gguf
from locum.export.fuse import fuse
from locum.export.gguf_file import write_gguf
from locum.runtime.llamacpp import LlamaCpp
from locum.training.base import resolve_base
from locum.training.chat_template import Renderer

pytestmark = [
    pytest.mark.usefixtures("float32"),
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen3", "gemma2", "phi3"])
def test_base_and_adapter_are_the_fused_model(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    write_shape(folder, name)
    base, renderer = resolve_base(str(folder)), Renderer(folder)
    write_adapter(folder, tmp_path / "adapter")
    fuse(base, tmp_path / "adapter", tmp_path / "fused", renderer)
    write_gguf(folder, base, renderer, tmp_path / "base.gguf", "F32", "base")
    write_lora_gguf(base, tmp_path / "adapter", tmp_path / "m.lora.gguf", "m")
    tokens = renderer.tokens(" ".join(sentences()))
    prompts = [tokens[:9], tokens[:40]]
    fused, plain = Plain(tmp_path / "fused"), Plain(folder)
    with LlamaCpp(tmp_path / "base.gguf", context=256, adapter=tmp_path / "m.lora.gguf") as engine:
        assert compare(engine, fused, prompts).max_abs_difference < 0.03
        assert compare(engine, plain, prompts).mean_abs_difference > 0.1, (
            "an adapter that changes nothing shows nothing"
        )


def test_one_head_of_b_in_the_wrong_order_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from locum.export import adapter_file

    folder = tmp_path / "base"
    folder.mkdir()
    write_shape(folder, "llama")
    base, renderer = resolve_base(str(folder)), Renderer(folder)
    write_adapter(folder, tmp_path / "adapter", size=0.3)
    fuse(base, tmp_path / "adapter", tmp_path / "fused", renderer)
    write_gguf(folder, base, renderer, tmp_path / "base.gguf", "F32", "base")
    monkeypatch.setattr(adapter_file, "to_gguf_layout", lambda name, array, config: array)
    write_lora_gguf(base, tmp_path / "adapter", tmp_path / "m.lora.gguf", "m")
    tokens = renderer.tokens(" ".join(sentences()))
    with LlamaCpp(tmp_path / "base.gguf", context=256, adapter=tmp_path / "m.lora.gguf") as engine:
        assert not compare(engine, Plain(tmp_path / "fused"), [tokens[:40]]).holds()


def test_an_adapter_of_other_weights_is_refused_by_both_ways_out(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        write_shape(tmp_path / name, "llama")
    weights = tmp_path / "other" / "model.safetensors"
    state = load_file(weights)
    state["model.norm.weight"][0] += 1
    save_file(state, weights, metadata={"format": "pt"})
    one, other = resolve_base(str(tmp_path / "one")), resolve_base(str(tmp_path / "other"))
    write_adapter(one.folder, tmp_path / "adapter")
    files.write_json(tmp_path / "adapter" / "base.json", {"name": one.name, "fingerprint": one.fingerprint()})
    renderer = Renderer(one.folder)
    fuse(one, tmp_path / "adapter", tmp_path / "fused", renderer)
    files.remove(tmp_path / "fused")
    with pytest.raises(ExportError, match="trained on other weights"):
        fuse(other, tmp_path / "adapter", tmp_path / "fused", renderer)
    with pytest.raises(ExportError, match="trained on other weights"):
        write_lora_gguf(other, tmp_path / "adapter", tmp_path / "m.gguf", "m")
    assert not (tmp_path / "fused").exists()
    assert not (tmp_path / "m.gguf").exists()


def test_a_damaged_adapter(tmp_path: Path) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    write_shape(folder, "llama")
    write_adapter(folder, tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ExportError, match="is damaged"):
        write_lora_gguf(resolve_base(str(folder)), tmp_path / "adapter", tmp_path / "m.gguf", "m")
    (tmp_path / "adapter" / "adapter_config.json").write_text("{")
    with pytest.raises(ExportError, match="is damaged"):
        fuse(resolve_base(str(folder)), tmp_path / "adapter", tmp_path / "fused", Renderer(folder))
