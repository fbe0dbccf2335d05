"""Low-rank adapters (Hu et al. 2021, arXiv:2106.09685) on a frozen model, saved in PEFT's format.

PEFT defines the files; the layer is ours because PEFT's own computes the adapter in float32 around a bfloat16
base, which costs more than the adapter's own arithmetic.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import torch
from torch import nn
from torch.nn import functional

from locum.errors import TrainingError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""Every linear layer of a decoder block: at small rank this beats attention alone (arXiv:2106.09685 section 7.1
tried attention alone; QLoRA, arXiv:2305.14314 section 4, found that all layers are needed)."""


class LoraShape(msgspec.Struct, frozen=True):
    """Rank and scale of an adapter; the update of a weight is `alpha / rank * B @ A`."""

    rank: int = 16
    alpha: int = 32


class LoraLinear(nn.Module):
    """A frozen linear layer plus a trainable low-rank update. A: [rank, in], B: [out, rank], both float32."""

    def __init__(self, base: nn.Linear, shape: LoraShape, generator: torch.Generator) -> None:
        super().__init__()
        self.base = base
        self.scale = shape.alpha / shape.rank
        device = base.weight.device
        # PEFT's initialisation: A as a linear layer's weight, B zero, so that step 0 is exactly the base.
        a = torch.empty(shape.rank, base.in_features)
        bound = math.sqrt(1 / base.in_features)
        a.uniform_(-bound, bound, generator=generator)
        self.lora_a = nn.Parameter(a.to(device))
        self.lora_b = nn.Parameter(torch.zeros(base.out_features, shape.rank, device=device))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = functional.linear(x, self.lora_a.to(x.dtype))
        update = functional.linear(low, (self.lora_b * self.scale).to(x.dtype))
        return self.base(x) + update  # type: ignore[no-any-return]


def add_lora(model: "PreTrainedModel", shape: LoraShape, seed: int) -> dict[str, LoraLinear]:
    """Freeze `model` and put an adapter on every linear layer named in `TARGETS`.

    Returns:
        The adapted layers by their name in the model.

    Raises:
        TrainingError: the model has no such layer.
    """
    generator = torch.Generator().manual_seed(seed)
    model.requires_grad_(False)
    layers: dict[str, LoraLinear] = {}
    for name, module in list(model.named_modules()):
        parent, _, leaf = name.rpartition(".")
        if leaf in TARGETS and isinstance(module, nn.Linear):
            layers[name] = LoraLinear(module, shape, generator)
            setattr(model.get_submodule(parent), leaf, layers[name])
    if not layers:
        raise TrainingError(f"a {model.config.model_type} model has none of the layers {', '.join(TARGETS)}")
    return layers


def adapter_state(layers: dict[str, LoraLinear]) -> dict[str, torch.Tensor]:
    """The adapter's tensors under PEFT's names, as float32 copies on the CPU."""
    state: dict[str, torch.Tensor] = {}
    for name, layer in layers.items():
        state[f"base_model.model.{name}.lora_A.weight"] = layer.lora_a.detach().float().cpu().clone()
        state[f"base_model.model.{name}.lora_B.weight"] = layer.lora_b.detach().float().cpu().clone()
    return state


def load_adapter_state(layers: dict[str, LoraLinear], state: dict[str, torch.Tensor]) -> None:
    """Put back what `adapter_state` took; the names must match exactly."""
    with torch.no_grad():
        for name, layer in layers.items():
            layer.lora_a.copy_(state[f"base_model.model.{name}.lora_A.weight"])
            layer.lora_b.copy_(state[f"base_model.model.{name}.lora_B.weight"])


def save_adapter(folder: Path, state: dict[str, torch.Tensor], shape: LoraShape, base: str) -> None:
    """Write `adapter_config.json` and `adapter_model.safetensors`, as `PeftModel.from_pretrained` reads them."""
    from peft import LoraConfig
    from safetensors.torch import save_file

    config = LoraConfig(
        r=shape.rank,
        lora_alpha=shape.alpha,
        target_modules=list(TARGETS),
        task_type="CAUSAL_LM",
        base_model_name_or_path=base,
        inference_mode=True,
    )
    config.save_pretrained(str(folder))
    save_file(state, folder / "adapter_model.safetensors", metadata={"format": "pt"})
