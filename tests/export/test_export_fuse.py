"""Fusing is PEFT's merge, in float32, into a folder that anybody's loader reads."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_models import damage_config, write_adapter

from locum.errors import ExportError
from locum.export.fuse import fuse
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.types import Row

pytestmark = [
    pytest.mark.usefixtures("float32"),
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]


@pytest.fixture
def adapter(tiny_base: Base, tmp_path: Path) -> Path:
    write_adapter(tiny_base.folder, tmp_path / "adapter")
    return tmp_path / "adapter"


def change_settings(adapter: Path, **changes: Any) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def plain(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def test_fusing_is_pefts_merge(
    tiny_base: Base, tiny_renderer: Renderer, adapter: Path, rows: list[Row], tmp_path: Path
) -> None:
    import peft

    fuse(tiny_base, adapter, tmp_path / "fused", tiny_renderer)
    merged = peft.PeftModel.from_pretrained(plain(tiny_base.folder), str(adapter)).merge_and_unload()
    expected, ours = merged.state_dict(), load_file(tmp_path / "fused" / "model.safetensors")
    assert ours.keys() == expected.keys()
    original = load_file(tiny_base.folder / "model.safetensors")
    for name, value in expected.items():
        assert ours[name].dtype == torch.float32
        torch.testing.assert_close(ours[name], value, atol=1e-6, rtol=1e-6, msg=name)
        assert torch.equal(ours[name], original[name]) == ("_proj" not in name)
    ids = torch.tensor([tiny_renderer.encode(rows[1]).tokens])
    with torch.no_grad():
        torch.testing.assert_close(plain(tmp_path / "fused")(ids).logits, merged(ids).logits, atol=1e-5, rtol=1e-5)


def test_a_fused_folder_renders_as_training_did(
    tiny_base: Base, tiny_renderer: Renderer, adapter: Path, rows: list[Row], tmp_path: Path
) -> None:
    fuse(tiny_base, adapter, tmp_path / "fused", tiny_renderer)
    again = Renderer(tmp_path / "fused")
    assert again.template == tiny_renderer.template
    assert [again.encode(row) for row in rows] == [tiny_renderer.encode(row) for row in rows]


def test_a_base_in_half_precision_is_fused_in_full(
    tiny_base: Base, tiny_renderer: Renderer, adapter: Path, tmp_path: Path
) -> None:
    """Added in bfloat16, the sum would be off by more than most of the update."""
    half = tmp_path / "half"
    shutil.copytree(tiny_base.folder, half)
    state = {name: value.bfloat16() for name, value in load_file(half / "model.safetensors").items()}
    save_file(state, half / "model.safetensors", metadata={"format": "pt"})
    damage_config(half, dtype="bfloat16", torch_dtype="bfloat16")
    fuse(Base(name="half", folder=half), adapter, tmp_path / "fused", tiny_renderer)
    update = load_file(adapter / "adapter_model.safetensors")
    name = "model.layers.0.mlp.up_proj"
    product = 3.0 * update[f"base_model.model.{name}.lora_B.weight"] @ update[f"base_model.model.{name}.lora_A.weight"]
    fused = load_file(tmp_path / "fused" / "model.safetensors")
    assert {value.dtype for value in fused.values()} == {torch.float32}
    torch.testing.assert_close(fused[f"{name}.weight"], state[f"{name}.weight"].float() + product, atol=1e-6, rtol=1e-6)
    settings = json.loads((tmp_path / "fused" / "config.json").read_text(encoding="utf-8"))
    assert settings["dtype"] == "float32"
    assert "torch_dtype" not in settings


def test_an_adapter_of_another_base(tiny_base: Base, tiny_renderer: Renderer, adapter: Path, tmp_path: Path) -> None:
    path = adapter / "adapter_model.safetensors"
    state = {name.replace("layers.1", "layers.7"): value for name, value in load_file(path).items()}
    save_file(state, path, metadata={"format": "pt"})
    with pytest.raises(ExportError, match=r"layers\.7.*'tiny' does not have.*trained on"):
        fuse(tiny_base, adapter, tmp_path / "fused", tiny_renderer)
    assert not (tmp_path / "fused").exists()


@pytest.mark.parametrize("beyond", [{"use_dora": True}, {"use_rslora": True}, {"modules_to_save": ["lm_head"]}])
def test_what_is_no_plain_lora_is_refused(
    tiny_base: Base, tiny_renderer: Renderer, adapter: Path, tmp_path: Path, beyond: dict[str, Any]
) -> None:
    change_settings(adapter, **beyond)
    with pytest.raises(ExportError, match="no plain LoRA"):
        fuse(tiny_base, adapter, tmp_path / "fused", tiny_renderer)


def test_a_crash_leaves_the_fused_model_of_before(
    tiny_base: Base, tiny_renderer: Renderer, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fuse(tiny_base, adapter, tmp_path / "fused", tiny_renderer)
    before = (tmp_path / "fused" / "model.safetensors").read_bytes()
    change_settings(adapter, lora_alpha=99)

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(tiny_renderer.tokenizer, "save_pretrained", full)
    with pytest.raises(OSError, match="no space left"):
        fuse(tiny_base, adapter, tmp_path / "fused", tiny_renderer)
    assert (tmp_path / "fused" / "model.safetensors").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "fused"]
