"""Steps that a GPU repeats: packs filled up to common shapes give the same loss and gradients, and wait for nothing."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_training_architectures import ARCHITECTURES, SHAPE, adapted, encoded_rows, write_model
from torch import nn

from locum.training import attention
from locum.training.captured import CapturedLoss, FilledPack, PackLoss
from locum.training.lora import add_lora
from locum.training.loss import target_losses
from locum.training.packing import TokenSequence, chain


def some_pack() -> list[TokenSequence]:
    return chain(encoded_rows())


def gradients(layers: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Each adapter tensor's, taken away."""
    found: dict[str, torch.Tensor] = {}
    for name, layer in layers.items():
        for part, tensor in (("A", layer.lora_a), ("B", layer.lora_b)):
            found[f"{name}.{part}"], tensor.grad = tensor.grad, None
    return found


@pytest.mark.parametrize("one_call", [False, True])
@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_a_filled_pack_gives_the_loss_and_the_gradients_of_the_pack(
    model_type: str, one_call: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path, model_type)
    model, layers = adapted(tmp_path)
    pack = some_pack()
    plain = target_losses(model, pack).mean()
    plain.backward()
    expected = gradients(layers)

    monkeypatch.setattr(attention, "_ONE_CALL", frozenset({"cpu"}) if one_call else frozenset())
    loss = PackLoss(model)(*FilledPack.of(pack, model.device))
    loss.backward()
    torch.testing.assert_close(loss, plain, atol=1e-5, rtol=1e-5)
    for name, gradient in gradients(layers).items():
        most = float(expected[name].abs().max())
        assert most > 0, "a gradient of nothing would prove nothing"
        torch.testing.assert_close(gradient, expected[name], atol=2e-4 * most, rtol=0, msg=name)


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_a_step_asks_the_processor_for_no_value(
    model_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On torch's `meta` device there are no values: what branches on one fails, and so does what leaves the device."""
    from transformers import AutoConfig, AutoModelForCausalLM

    write_model(tmp_path, model_type)
    monkeypatch.setattr(attention, "_ONE_CALL", frozenset({"meta"}))
    attention.register()
    config = AutoConfig.from_pretrained(tmp_path)
    model: Any = AutoModelForCausalLM.from_config(config, attn_implementation=attention.NAME)
    model = model.to("meta").eval()
    layers = add_lora(model, SHAPE, seed=5)
    loss = PackLoss(model)(*FilledPack.of(some_pack(), model.device))
    loss.backward()
    assert all(gradient.device.type == "meta" for gradient in gradients(layers).values())
    with pytest.raises(RuntimeError, match="meta"):
        float(loss)


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 9)), min_size=1, max_size=5))
def test_filling_adds_a_block_and_targets_that_weigh_nothing(sizes: list[tuple[int, int]]) -> None:
    pack = [
        TokenSequence(tokens=list(range(1, asked + said + 1)), targets=[(at, asked, asked + said)])
        for at, (asked, said) in enumerate(sizes)
    ]
    filled = FilledPack.of(pack, torch.device("cpu"))
    tokens, targets = sum(map(sum, sizes)), sum(said for _, said in sizes)
    assert len(filled.ids) % 256 == 0
    assert len(filled.ids) - tokens < 256
    assert len(filled.places) in (64 * 2**power for power in range(5))
    assert filled.block[tokens:].eq(len(pack)).all()
    assert filled.block[:tokens].bincount().tolist() == [sum(size) for size in sizes]
    assert filled.place.tolist()[:tokens] == [at for size in sizes for at in range(sum(size))]
    assert filled.weights[targets:].eq(0).all()
    assert float(filled.weights.sum()) == pytest.approx(1, abs=1e-5)
    assert filled.ids[filled.places[:targets] + 1].tolist() == filled.wanted[:targets].tolist()


def test_a_shape_is_captured_once_it_keeps_coming(tmp_path: Path) -> None:
    write_model(tmp_path, "llama")
    model, _ = adapted(tmp_path)
    captured: list[tuple[int, ...]] = []
    repeated: list[int] = []

    def capture(module: nn.Module, tensors: tuple[torch.Tensor, ...]) -> nn.Module:
        captured.append(tuple(map(len, tensors)))

        class Repeats(nn.Module):
            def forward(self, *given: torch.Tensor) -> torch.Tensor:
                repeated.append(len(given[0]))
                loss: torch.Tensor = module(*given)
                return loss

        return Repeats()

    objective = CapturedLoss(model, capture)
    few, many = some_pack()[:2], some_pack() * 4
    for step in range(6):
        if step == 0:
            objective(many)
        torch.testing.assert_close(objective(few), target_losses(model, few).mean(), atol=1e-5, rtol=0)
    assert captured == [(256, 256, 256, 64, 64, 64)], "the shape that came six times, and not the one that came once"
    assert repeated == [256] * 3, "from the fourth time on"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_trains_by_graphs_what_it_trains_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from locum.training import captured

    write_model(tmp_path / "base", "llama")
    model, layers = adapted(tmp_path / "base")
    model.cuda()
    pack = some_pack()
    told: list[str] = []
    objective = captured.on_cuda(model, told.append)
    seen = []
    for _ in range(8):
        loss = objective(pack)
        loss.backward()
        seen.append((float(loss.detach()), gradients(layers)))
    assert not told
    for again, found in seen[1:]:
        assert again == pytest.approx(seen[0][0], abs=1e-5)
        for name, gradient in found.items():
            torch.testing.assert_close(gradient, seen[0][1][name], atol=1e-5, rtol=1e-4, msg=name)
