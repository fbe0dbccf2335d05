"""Packing, chaining and our LoRA layer change nothing: loss and gradients are those of one plain row at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from msgspec.structs import replace
from small_models import lookup, many_rows, result, says, system, turns, user

from locum.training.attention import SHORT
from locum.training.backend import LoraShape
from locum.training.base import Base
from locum.training.chat_template import Encoded, Renderer
from locum.training.device import Device
from locum.training.load import load_model
from locum.training.lora import add_lora
from locum.training.loss import split_by_row, target_losses
from locum.training.packing import TokenSequence, chain, pack
from locum.types import Row

# PEFT asks transformers for a property by its old name.
pytestmark = [
    pytest.mark.usefixtures("float32"),
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]

EXACT = Device("cpu", "float32")
SHAPE = LoraShape(rank=4, alpha=12)


def long_rows() -> list[Row]:
    """Three chained turns whose blocks go both ways: below and above `SHORT` tokens."""
    story = "The order W-1204 is late by 12 days; why? "
    return turns(
        system("Be brief."),
        user(story * 15),
        says("It is late."),
        user(story * 30),
        says("", lookup("W-1204")),
        result('{"late": true}'),
        says("I will look at it."),
        session="long",
    )


@pytest.fixture(scope="module")
def encoded(tiny_renderer: Renderer) -> list[Encoded]:
    return [tiny_renderer.encode(row) for row in [*many_rows(), *long_rows()]]


@pytest.fixture
def adapted(tiny_base: Base) -> tuple[Any, dict[str, Any]]:
    """The tiny base with an adapter that does something: B is zero only at the start of training."""
    model = load_model(tiny_base.folder, EXACT)
    layers = add_lora(model, SHAPE, seed=5)
    generator = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for layer in layers.values():
            layer.lora_b.normal_(0, 0.2, generator=generator)
    return model, layers


def plain_losses(model: Any, row: Encoded) -> torch.Tensor:
    """Response losses of one row alone, through the model's own forward."""
    ids = torch.tensor([row.tokens])
    logits = model(input_ids=ids, use_cache=False).logits[0]
    predicted = torch.log_softmax(logits.float(), dim=-1)
    places = range(row.response_start, len(row.tokens))
    return torch.stack([-predicted[place - 1, row.tokens[place]] for place in places])


def peft_reference(folder: Path, layers: dict[str, Any]) -> Any:
    """transformers' eager attention under PEFT's own LoRA, with the same weights."""
    import peft
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    config = peft.LoraConfig(
        r=SHAPE.rank, lora_alpha=SHAPE.alpha, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM"
    )
    reference = peft.get_peft_model(base, config)
    weights = dict(reference.named_parameters())
    with torch.no_grad():
        for name, layer in layers.items():
            weights[f"base_model.model.{name}.lora_A.default.weight"].copy_(layer.lora_a)
            weights[f"base_model.model.{name}.lora_B.default.weight"].copy_(layer.lora_b)
    return reference


def test_loss_and_gradients_are_those_of_plain_rows_through_peft(
    tiny_base: Base, encoded: list[Encoded], adapted: tuple[Any, dict[str, Any]]
) -> None:
    model, layers = adapted
    sequences = chain(encoded)
    lengths = [len(sequence.tokens) for sequence in sequences]
    assert max(len(sequence.targets) for sequence in sequences) >= 3, "three rows of one session are chained"
    assert min(lengths) < SHORT < max(lengths), "weights are kept and made again"

    losses = target_losses(model, sequences)
    losses.mean().backward()

    reference = peft_reference(tiny_base.folder, layers)
    expected = {index: plain_losses(reference, row) for index, row in enumerate(encoded)}
    torch.cat(list(expected.values())).mean().backward()

    seen = dict(split_by_row(sequences, losses))
    assert seen.keys() == expected.keys()
    for index, values in expected.items():
        torch.testing.assert_close(seen[index], values, atol=1e-5, rtol=1e-5)
    gradients = {name: parameter.grad for name, parameter in reference.named_parameters()}
    assert len(layers) == 14, "every linear layer of both blocks"
    for name, layer in layers.items():
        for part, ours in (("A", layer.lora_a.grad), ("B", layer.lora_b.grad)):
            theirs = gradients[f"base_model.model.{name}.lora_{part}.default.weight"]
            assert theirs is not None
            assert theirs.abs().max() > 1e-4, "a gradient of nothing would prove nothing"
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4, msg=f"{name}.lora_{part}")


def test_no_gradient_reaches_the_base(encoded: list[Encoded], adapted: tuple[Any, dict[str, Any]]) -> None:
    model, _ = adapted
    target_losses(model, chain(encoded[:3])).mean().backward()
    learning = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert learning
    assert all("lora_" in name for name in learning)


def _alone(encoded: Sequence[Encoded]) -> Iterator[TokenSequence]:
    for index, row in enumerate(encoded):
        yield TokenSequence(tokens=row.tokens, targets=[(index, row.response_start, len(row.tokens))])


def test_a_row_sees_no_other_row(encoded: list[Encoded], adapted: tuple[Any, dict[str, Any]]) -> None:
    """Other tokens in one row of a pack change that row's losses and no other's."""
    model, _ = adapted
    sequences = list(_alone(encoded))
    changed = 3
    other = [(token + 7) % 300 + 3 for token in sequences[changed].tokens]
    altered = [replace(s, tokens=other) if i == changed else s for i, s in enumerate(sequences)]
    with torch.no_grad():
        before = dict(split_by_row(sequences, target_losses(model, sequences)))
        after = dict(split_by_row(altered, target_losses(model, altered)))
    for index in before:
        if index == changed:
            assert (before[index] - after[index]).abs().max() > 0.1
        else:
            torch.testing.assert_close(before[index], after[index], atol=1e-6, rtol=1e-6)


def test_the_packs_budget_changes_no_loss(encoded: list[Encoded], adapted: tuple[Any, dict[str, Any]]) -> None:
    model, _ = adapted
    found: list[dict[int, torch.Tensor]] = []
    with torch.no_grad():
        for budget in (1, 300, 100_000):
            losses: dict[int, torch.Tensor] = {}
            for batch in pack(chain(encoded), budget):
                losses.update(split_by_row(batch, target_losses(model, batch)))
            found.append(losses)
    for losses in found[1:]:
        assert losses.keys() == found[0].keys()
        for index, values in losses.items():
            torch.testing.assert_close(values, found[0][index], atol=2e-5, rtol=1e-5)
