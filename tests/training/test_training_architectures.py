"""Every architecture learns from packs and chains what it would learn from plain rows through transformers and PEFT.

Tiny random models, each with what sets its architecture apart switched on: windows shorter than the rows, capped scores
and logits, a scale of its own, biases, norms on queries and keys, fused projections.
"""

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from locum.errors import TrainingError
from locum.training import attention
from locum.training.backend import LoraShape
from locum.training.base import Base
from locum.training.chat_template import Encoded
from locum.training.device import Device
from locum.training.load import context_length, load_model
from locum.training.lora import adapter_state, add_lora, save_adapter
from locum.training.loss import split_by_row, target_losses
from locum.training.packing import chain

# PEFT asks transformers for a property by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

EXACT = Device("cpu", "float32")
SHAPE = LoraShape(rank=4, alpha=12)
VOCABULARY = 97
COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
WINDOWS = {"sliding_window": 11, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"sliding_window": 11},
    "qwen2": {"use_sliding_window": True, "max_window_layers": 1, **WINDOWS},
    "qwen3": {},
    "gemma2": {
        "attn_logit_softcapping": 2.0,
        "final_logit_softcapping": 3.0,
        "query_pre_attn_scalar": 20,
        **WINDOWS,
    },
    "gemma3_text": {"query_pre_attn_scalar": 20, **WINDOWS},
    "phi3": {"sliding_window": 11},
}


def write_model(folder: Path, model_type: str, **changes: Any) -> None:
    """A random model of this architecture, its norms and biases away from their neutral start."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(3)
    config = AutoConfig.for_model(model_type, **(COMMON | ARCHITECTURES.get(model_type, {}) | changes))
    model = AutoModelForCausalLM.from_config(config)
    for name, parameter in model.named_parameters():
        if "norm" in name or "bias" in name:
            torch.nn.init.uniform_(parameter, 0.3, 1.2)
    model.save_pretrained(folder)


def encoded_rows(longest: int = 40) -> list[Encoded]:
    """Three turns of one session, which are chained, and rows of their own, some of a few tokens."""
    draw = random.Random(5)

    def some(count: int) -> list[int]:
        return [draw.randrange(3, VOCABULARY) for _ in range(count)]

    rows: list[Encoded] = []
    before: list[int] = []
    for asked in (9, 7, 5):
        before = before + some(asked)
        rows.append(Encoded(tokens=before + some(6), response_start=len(before)))
        before = rows[-1].tokens
    for asked, said in ((longest - 7, 7), (3, 2), (2, 4), (20, 9)):
        rows.append(Encoded(tokens=some(asked + said), response_start=asked))
    return rows


def reference(folder: Path, layers: dict[str, Any], implementation: str = "eager") -> Any:
    """transformers' own attention under PEFT's own LoRA, with the same weights."""
    import peft
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation=implementation).eval()
    names = sorted({name.rpartition(".")[2] for name in layers})
    config = peft.LoraConfig(r=SHAPE.rank, lora_alpha=SHAPE.alpha, target_modules=names, task_type="CAUSAL_LM")
    model = peft.get_peft_model(base, config)
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for name, layer in layers.items():
            weights[f"base_model.model.{name}.lora_A.default.weight"].copy_(layer.lora_a)
            weights[f"base_model.model.{name}.lora_B.default.weight"].copy_(layer.lora_b)
    return model


def adapted(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Our model with an adapter that does something: B is zero only at the start of training."""
    model = load_model(folder, EXACT)
    layers = add_lora(model, SHAPE, seed=5)
    generator = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for layer in layers.values():
            layer.lora_b.normal_(0, 0.1, generator=generator)
    return model, layers


def compare(folder: Path, rows: list[Encoded], tolerance: float, implementation: str = "eager") -> None:
    """Losses of every row and gradients of every adapter tensor, ours and theirs.

    Args:
        tolerance: how far a gradient may be off, as a share of the largest in its tensor; of losses, in nats.
    """
    model, layers = adapted(folder)
    sequences = chain(rows)
    assert len(sequences) < len(rows), "some rows are chained"
    losses = target_losses(model, sequences)
    losses.mean().backward()

    plain = reference(folder, layers, implementation)
    expected: dict[int, torch.Tensor] = {}
    targets = sum(len(row.tokens) - row.response_start for row in rows)
    for index, row in enumerate(rows):
        logits = plain(input_ids=torch.tensor([row.tokens]), use_cache=False).logits[0]
        wanted = torch.tensor(row.tokens[row.response_start :])
        expected[index] = torch.nn.functional.cross_entropy(
            logits[row.response_start - 1 : -1].float(), wanted, reduction="none"
        )
        # Gradients of all rows add up: the mean over all response tokens, one row at a time.
        (expected[index].sum() / targets).backward()
    seen = dict(split_by_row(sequences, losses))
    assert seen.keys() == expected.keys()
    for index, values in expected.items():
        torch.testing.assert_close(seen[index], values, atol=tolerance, rtol=0.0)
    gradients = {name: parameter.grad for name, parameter in plain.named_parameters()}
    for name, layer in layers.items():
        for part, ours in (("A", layer.lora_a.grad), ("B", layer.lora_b.grad)):
            theirs = gradients[f"base_model.model.{name}.lora_{part}.default.weight"]
            assert theirs is not None
            size = float(theirs.abs().max())
            assert size > 1e-6, f"a gradient of nothing would prove nothing: {name}.lora_{part}"
            assert float((ours - theirs).abs().max()) <= tolerance * size, f"{name}.lora_{part}"


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_gradients_are_those_of_plain_rows(model_type: str, tmp_path: Path) -> None:
    write_model(tmp_path, model_type)
    compare(tmp_path, encoded_rows(), 2e-4)


@pytest.mark.parametrize("model_type", ["llama", "mistral", "gemma2", "phi3"])
def test_gradients_of_long_blocks(model_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few queries at a time, whose weights are made again beyond `SHORT`."""
    monkeypatch.setattr(attention, "SHORT", 16)
    monkeypatch.setattr(attention, "_QUERIES", 7)
    monkeypatch.setattr(attention, "_TOGETHER", 4)
    write_model(tmp_path, model_type)
    compare(tmp_path, encoded_rows(), 2e-4)


@pytest.mark.parametrize("model_type", ["qwen3", "mistral"])
def test_gradients_of_the_accelerators_path(model_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One masked call over the whole pack, as on a GPU, computed here."""
    monkeypatch.setattr(attention, "_ONE_CALL", frozenset({"cpu"}))
    write_model(tmp_path, model_type)
    compare(tmp_path, encoded_rows(), 2e-4)


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_every_linear_layer_of_a_block_is_adapted(model_type: str, tmp_path: Path) -> None:
    write_model(tmp_path, model_type)
    model, layers = adapted(tmp_path)
    linear = {
        name for name, module in model.get_decoder().layers.named_modules() if "lora" in type(module).__name__.lower()
    }
    assert len(linear) == len(layers) == 3 * (4 if model_type == "phi3" else 7)


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_peft_loads_what_was_saved(model_type: str, tmp_path: Path) -> None:
    import peft
    from transformers import AutoModelForCausalLM

    write_model(tmp_path / "base", model_type)
    model, layers = adapted(tmp_path / "base")
    save = tmp_path / "adapter"
    save.mkdir()
    save_adapter(save, adapter_state(layers), SHAPE, str(tmp_path / "base"))
    ids = torch.tensor([encoded_rows()[3].tokens])
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32, attn_implementation="eager")
    with torch.no_grad():
        without = plain(input_ids=ids, use_cache=False).logits
        theirs = peft.PeftModel.from_pretrained(plain, str(save)).eval()
        expected = theirs(input_ids=ids, use_cache=False).logits
        torch.testing.assert_close(model(input_ids=ids, use_cache=False).logits, expected, atol=2e-4, rtol=2e-4)
    assert (expected - without).abs().max() > 0.1, "the adapter does something"


@pytest.mark.slow
def test_smollm2_itself(small_base: Base) -> None:
    """The real base, rows longer than a short block among them."""
    compare(small_base.folder, encoded_rows(longest=attention.SHORT + 40), 2e-3, "sdpa")


@pytest.mark.parametrize(
    ("model_type", "changes"),
    [
        ("granite", {"logits_scaling": 8.0}),
        ("gpt_oss", {"num_local_experts": 2, "num_experts_per_tok": 1}),
        ("cohere2", {"logit_scale": 0.25}),
        ("gemma3_text", {"use_bidirectional_attention": True}),
        ("lfm2", {"layer_types": ["conv", "full_attention", "conv"]}),
    ],
)
def test_an_architecture_that_asks_for_more_is_refused(
    model_type: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    """Scaled logits, attention sinks, attention in both directions, layers with memory: one line, no wrong learning."""
    write_model(tmp_path, model_type, **changes)
    with pytest.raises(TrainingError) as refused:
        load_model(tmp_path, EXACT)
    assert "\n" not in str(refused.value)
    assert "choose" in str(refused.value)


@pytest.mark.parametrize("part", ["sliding_window", "softcap", "scaling"])
def test_what_an_architecture_asks_of_attention_is_seen_by_these_tests(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were it passed over, the comparison would fail."""
    honest = attention.attend

    def forgetful(*args: Any, **kwargs: Any) -> Any:
        return honest(*args, **{**kwargs, part: None})

    monkeypatch.setattr(attention, "attend", forgetful)
    write_model(tmp_path, "gemma2")
    with pytest.raises((AssertionError, TrainingError)):
        compare(tmp_path, encoded_rows(), 2e-4)
    monkeypatch.undo()
    attention.register()


def test_long_rotary_embeddings_are_kept_to_the_original_context(tmp_path: Path) -> None:
    """Phi 3 turns all its embeddings over as soon as one token lies beyond: neighbours in a pack would change."""
    factors = [1.0 + 0.1 * place for place in range(4)]
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": factors, "long_factor": factors}
    write_model(tmp_path, "phi3", original_max_position_embeddings=64, rope_parameters=rope)
    assert context_length(tmp_path) == 64
