"""The adapter along the way, a run killed at any moment, and lower layers that are computed once."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from small_models import many_rows, row, says, user

from locum import files
from locum.errors import TrainingError
from locum.training import activations
from locum.training.activations import Boundary
from locum.training.backend import LoraShape, Metric, TrainOptions
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.checkpoints import Checkpoint, checkpoint_steps, list_checkpoints, load_into, save_checkpoint
from locum.training.device import Device
from locum.training.load import load_model
from locum.training.loop import train
from locum.training.lora import adapter_state, add_lora
from locum.training.loss import target_losses
from locum.training.packing import TokenSequence, chain, pack
from locum.types import Row

pytestmark = pytest.mark.usefixtures("float32")
EXACT = Device("cpu", "float32")
TOP = LoraShape(rank=4, alpha=8, top=1)
OPTIONS = TrainOptions(shape=TOP, max_steps=12, pack_tokens=200, patience=0, learning_rate=5e-3)
VALID = [row(user("Is it late again?"), says("Yes."), session="v"), row(user("Post?"), says("No."), session="w")]


def curve(run: Path) -> list[tuple[int, int, float | None, float | None]]:
    """Without its seconds, which no two runs share."""
    return [(m.step, m.tokens, m.train_loss, m.valid_loss) for m in files.read_jsonl(run / "metrics.jsonl", Metric)]


def contents(run: Path) -> dict[str, bytes]:
    paths = [run / "adapter" / "adapter_model.safetensors", *(point.path for point in list_checkpoints(run))]
    return {path.name: path.read_bytes() for path in paths}


# --- checkpoints


def test_steps_are_spaced_by_halves() -> None:
    assert sorted(checkpoint_steps(640)) == [0, 10, 20, 40, 80, 160, 320, 640]
    assert sorted(checkpoint_steps(3)) == [0, 1, 2, 3]
    assert sorted(checkpoint_steps(1)) == [0, 1]


def test_a_run_leaves_its_adapter_along_the_way(tiny_base: Base, rows: list[Row], tmp_path: Path) -> None:
    options = msgspec.structs.replace(OPTIONS, shape=LoraShape(rank=4, alpha=8))
    assert list_checkpoints(tmp_path) == []
    save_stale = tmp_path / "checkpoints" / "step-00777.safetensors"
    save_stale.parent.mkdir()
    save_stale.write_bytes(b"of a run before")
    train(rows, [], tiny_base, tmp_path, options)
    points = list_checkpoints(tmp_path)
    assert [point.step for point in points] == sorted(checkpoint_steps(12))
    assert [point.path.name for point in points][-1] == "step-00012.safetensors"
    model = load_model(tiny_base.folder, EXACT)
    layers = add_lora(model, options.shape, seed=0)
    load_into(layers, points[0])
    assert all(float(layer.lora_b.detach().abs().max()) == 0 for layer in layers.values()), "step 0 is the base"
    # Nothing is held out, so that the adapter kept is that of the last step.
    load_into(layers, points[-1])
    from safetensors.torch import load_file

    kept = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    for name, value in adapter_state(layers).items():
        torch.testing.assert_close(value, kept[name], atol=0, rtol=0)


def test_a_run_that_stops_early_has_its_last_step(tiny_base: Base, rows: list[Row], tmp_path: Path) -> None:
    wild = msgspec.structs.replace(OPTIONS, learning_rate=0.3, max_steps=60, patience=1)
    found = train(rows, rows[:2], tiny_base, tmp_path, wild)
    assert found.steps < 60
    assert list_checkpoints(tmp_path)[-1].step == found.steps


def test_a_checkpoint_that_does_not_fit_is_refused(tiny_base: Base, tmp_path: Path) -> None:
    model = load_model(tiny_base.folder, EXACT)
    layers = add_lora(model, TOP, seed=0)
    save_checkpoint(tmp_path, 3, layers)
    point = list_checkpoints(tmp_path)[0]
    other = add_lora(load_model(tiny_base.folder, EXACT), LoraShape(rank=8, alpha=8), seed=0)
    with pytest.raises(TrainingError, match="another rank"):
        load_into(other, point)
    point.path.write_bytes(point.path.read_bytes()[:40])
    with pytest.raises(TrainingError, match="cannot be read"):
        load_into(layers, Checkpoint(3, point.path))


# --- killed

_SCRIPT = """
import json, sys
from pathlib import Path
import msgspec, torch
sys.path[:0] = json.loads(sys.argv[1])
from small_models import many_rows
from test_training_checkpoints import OPTIONS, VALID, EXACT
from locum.training import loop
from locum.training.base import Base
loop.best_device = lambda: EXACT
loop._SAVE_SECONDS = -1.0
torch.set_num_threads(1)
def told(work, done, total, note=""):
    print(done, flush=True)
    if done == int(sys.argv[4]):
        sys.stdin.read()  # until killed
loop.train(many_rows(), VALID, Base(name="tiny", folder=Path(sys.argv[2])), Path(sys.argv[3]), OPTIONS, told)
"""


def test_a_killed_run_ends_in_the_same_bytes(tiny_base: Base, tmp_path: Path) -> None:
    """SIGKILL leaves no time to tidy up; with the lower layers' activations kept, and every checkpoint compared."""
    train(many_rows(), VALID, tiny_base, tmp_path / "whole", OPTIONS)
    places = [str(Path(__file__).parents[1]), str(Path(__file__).parent), str(Path(files.__file__).parents[1])]
    run = tmp_path / "cut"
    child = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, json.dumps(places), str(tiny_base.folder), str(run), "7"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdin is not None
    with child:
        for line in child.stdout:
            if line.strip() == "7":
                break
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    assert not (run / "adapter").exists()
    taken: list[int] = []
    train(many_rows(), VALID, tiny_base, run, OPTIONS, lambda work, done, total, note="": taken.append(done))
    assert taken[0] == 7, "it went on from the state after step 6"
    assert curve(run) == curve(tmp_path / "whole")
    assert contents(run) == contents(tmp_path / "whole")
    assert len(contents(run)) > 5
    assert not (run / ".training").exists()


# --- the top layers alone


@pytest.fixture
def sequences(tiny_renderer: Renderer) -> list[TokenSequence]:
    return chain([tiny_renderer.encode(each) for each in many_rows()])


def adapted(base: Base) -> tuple[Any, dict[str, Any]]:
    model = load_model(base.folder, EXACT)
    layers = add_lora(model, TOP, seed=5)
    generator = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for layer in layers.values():
            layer.lora_b.normal_(0, 0.2, generator=generator)
    return model, layers


@pytest.mark.parametrize("place", ["memory", "file", "part"])
def test_kept_activations_change_no_gradient(
    tiny_base: Base, sequences: list[TokenSequence], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    model, layers = adapted(tiny_base)
    assert all(".layers.1." in name for name in layers)
    losses = target_losses(model, sequences)
    losses.mean().backward()
    expected = {name: (layer.lora_a.grad, layer.lora_b.grad) for name, layer in layers.items()}
    for layer in layers.values():
        layer.lora_a.grad = layer.lora_b.grad = None

    total = sum(len(sequence.tokens) for sequence in sequences)
    if place != "memory":
        monkeypatch.setattr(activations, "MEMORY_BYTES", 0)
        monkeypatch.setattr(activations, "FILE_BYTES", total * 64 * 4 // (1 if place == "file" else 2))
    boundary = Boundary(model, 1)
    kept = boundary.fill(sequences, tmp_path / "activations.bin")
    assert (kept == total) == (place != "part")
    assert (tmp_path / "activations.bin").exists() == (place != "memory")
    seen, left_out = [], []
    for batch in pack(sequences, 150):
        with boundary.standing_in(batch) as stands_in:
            seen.append(target_losses(model, batch))
            left_out.append(stands_in)
    assert set(left_out) == ({True} if place != "part" else {True, False})
    torch.testing.assert_close(torch.cat(seen), losses, atol=2e-5, rtol=1e-5)
    torch.cat(seen).mean().backward()
    for name, layer in layers.items():
        for ours, theirs in zip((layer.lora_a.grad, layer.lora_b.grad), expected[name], strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_lower_layers_are_really_left_out(
    tiny_base: Base, sequences: list[TokenSequence], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = adapted(tiny_base)
    lower = model.get_decoder().layers[0].mlp
    boundary = Boundary(model, 1)
    boundary.fill(sequences, tmp_path / "activations.bin")
    monkeypatch.setattr(lower, "forward", None)
    with boundary.standing_in(sequences), torch.no_grad():
        assert target_losses(model, sequences).isfinite().all()
    with pytest.raises(TypeError):
        target_losses(model, sequences)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_peft_loads_an_adapter_of_the_top_layers(tiny_base: Base, rows: list[Row], tmp_path: Path) -> None:
    import peft
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    train(rows, [], tiny_base, tmp_path, OPTIONS)
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["layers_to_transform"] == [1]
    kept = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    plain = AutoModelForCausalLM.from_pretrained(tiny_base.folder, dtype=torch.float32)
    theirs = peft.PeftModel.from_pretrained(plain, str(tmp_path / "adapter"))
    loaded = {name for name, _ in theirs.named_parameters() if "lora_" in name}
    assert {name.replace(".default", "") for name in loaded} == kept.keys()
    model = load_model(tiny_base.folder, EXACT)
    layers = add_lora(model, TOP, seed=0)
    load_into(layers, list_checkpoints(tmp_path)[-1])
    ids = torch.tensor([Renderer(tiny_base.folder).encode(rows[1]).tokens])
    with torch.no_grad():
        expected = theirs.eval()(input_ids=ids, use_cache=False).logits
        torch.testing.assert_close(model(input_ids=ids, use_cache=False).logits, expected, atol=1e-5, rtol=1e-5)


def test_more_layers_than_the_base_has(tiny_base: Base, rows: list[Row], tmp_path: Path) -> None:
    options = msgspec.structs.replace(OPTIONS, shape=LoraShape(top=3))
    with pytest.raises(TrainingError, match=r"top:3 .* the 2 that"):
        train(rows, [], tiny_base, tmp_path, options)


def test_all_layers_by_their_number_is_all(tiny_base: Base, rows: list[Row], tmp_path: Path) -> None:
    for name, top in (("number", 2), ("all", None)):
        shape = LoraShape(rank=4, alpha=8, top=top)
        train(rows, [], tiny_base, tmp_path / name, msgspec.structs.replace(OPTIONS, shape=shape, max_steps=2))
    assert contents(tmp_path / "number") == contents(tmp_path / "all")
