"""Low-rank adapters (Hu et al. 2021, arXiv:2106.09685) on a frozen model, saved in PEFT's format.

PEFT defines the files; the layer is ours because PEFT's own computes the adapter in float32 around a bfloat16
base, which costs more than the adapter's own arithmetic.
"""

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from torch import nn

from locum.errors import TrainingError
from locum.training.backend import LoraShape

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj", "gate_up_proj")
"""Every linear layer of a decoder block, by the names that transformers gives them (Phi 3 has two fused ones): at small
rank this beats attention alone (arXiv:2106.09685 section 7.1 tried attention alone; QLoRA, arXiv:2305.14314 section 4,
found that all layers are needed)."""

WEIGHTS = "adapter_model.safetensors"


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
        """[..., in] -> [..., out], in the base's precision."""
        return _Adapted.apply(  # type: ignore[no-untyped-call, no-any-return]
            x, self.base.weight, self.base.bias, self.lora_a, self.lora_b, self.scale
        )


class _Adapted(torch.autograd.Function):
    """x W' + bias + scale (x A') B', in one node that keeps x and x A' and adds into what the base product made."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        """[..., in], [out, in], [out] or None, [rank, in], [out, rank] -> [..., out]."""
        rows = x.reshape(-1, x.shape[-1])
        down, up = a.to(x.dtype), (b * scale).to(x.dtype)
        low = rows @ down.t()
        out = nn.functional.linear(rows, weight, bias)
        out.addmm_(low, up.t())
        ctx.save_for_backward(rows, low, weight, down, up)
        ctx.scale, ctx.shape, ctx.dtype = scale, x.shape, a.dtype
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of x (where somebody needs it), A and B."""
        rows, low, weight, down, up = ctx.saved_tensors
        outer = gradients[0].reshape(-1, weight.shape[0])
        of_low = outer @ up
        of_a = (of_low.t() @ rows).to(ctx.dtype)
        of_b = (low.t() @ outer).t().to(ctx.dtype).mul_(ctx.scale)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (outer @ weight).addmm_(of_low, down).view(ctx.shape)
        return of_x, None, None, of_a, of_b, None


def add_lora(model: "PreTrainedModel", shape: LoraShape, seed: int) -> dict[str, LoraLinear]:
    """Freeze `model` and put an adapter on every linear layer of its decoder that is named in `TARGETS`.

    Returns:
        The adapted layers by their name in the model.

    Raises:
        TrainingError: the model has no such layer, fewer decoder layers than `shape.top`, or no weight of such a rank.
    """
    generator = torch.Generator().manual_seed(seed)
    model.requires_grad_(False)
    decoder = model.get_decoder()
    count = len(decoder.layers)
    if shape.top is not None and shape.top > count:
        raise TrainingError(f"--layers top:{shape.top} asks for more layers than the {count} that the base has")
    first = 0 if shape.top is None else count - shape.top
    inside = {id(module) for layer in decoder.layers[first:] for module in layer.modules()}
    places = {
        name: module
        for name, module in model.named_modules()
        if name.rpartition(".")[2] in TARGETS and isinstance(module, nn.Linear) and id(module) in inside
    }
    if not places:
        raise TrainingError(f"a {model.config.model_type} model has none of the layers {', '.join(TARGETS)}")
    full = max(min(module.weight.shape) for module in places.values())
    if shape.rank > full:
        raise TrainingError(
            f"--rank {shape.rank} is more than the {full} that any weight of the base has; choose fewer"
        )
    layers: dict[str, LoraLinear] = {}
    for name, module in places.items():
        parent, _, leaf = name.rpartition(".")
        layers[name] = LoraLinear(module, shape, generator)
        setattr(model.get_submodule(parent), leaf, layers[name])
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


_PLACE = re.compile(r"\.layers\.(\d+)\..*?(\w+)\.lora_A\.weight$")


def read_shape(folder: Path) -> LoraShape:
    """The shape of an adapter that `save_adapter` wrote, with the alpha of its training.

    Raises:
        TrainingError: there is none, or it cannot be read.
    """
    path = folder / "adapter_config.json"
    try:
        config = msgspec.json.decode(path.read_bytes(), type=_Config)
    except (OSError, msgspec.MsgspecError) as error:
        raise TrainingError(f"{str(path)!r} is no adapter's configuration ({error}); train the run again") from None
    places, strength = config.layers_to_transform, _strength(folder / WEIGHTS)
    alpha = round(config.lora_alpha / strength)
    return LoraShape(rank=config.r, alpha=alpha, top=None if places is None else len(places), strength=strength)


def _strength(weights: Path) -> float:
    """What `save_adapter` noted in the file's head; 1 where it is another's file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="pt") as file:
            return float((file.metadata() or {}).get("strength", 1.0))
    except (OSError, SafetensorError, ValueError) as error:
        raise TrainingError(f"{str(weights)!r} cannot be read ({error}); train the run again") from None


class _Config(msgspec.Struct):
    """What is read of PEFT's `adapter_config.json`."""

    r: int
    lora_alpha: float
    layers_to_transform: list[int] | None = None


def save_adapter(folder: Path, state: dict[str, torch.Tensor], shape: LoraShape, base: str) -> None:
    """Write `adapter_config.json` and `adapter_model.safetensors`, as `PeftModel.from_pretrained` reads them.

    A strength other than 1 goes into `lora_alpha`, by which everybody scales the update, and is noted in the head of
    the weights, which stay as they were trained.
    """
    from peft import LoraConfig
    from safetensors.torch import save_file

    places = [found for name in state if (found := _PLACE.search(name))]
    alpha = shape.alpha * shape.strength
    config = LoraConfig(
        r=shape.rank,
        lora_alpha=int(alpha) if alpha == int(alpha) else alpha,  # type: ignore[arg-type]  # peft only divides by it
        target_modules=sorted({place[2] for place in places}),
        layers_to_transform=None if shape.top is None else sorted({int(place[1]) for place in places}),
        task_type="CAUSAL_LM",
        base_model_name_or_path=base,
        inference_mode=True,
    )
    config.save_pretrained(str(folder))
    noted = {} if shape.strength == 1 else {"strength": repr(shape.strength)}
    save_file(state, folder / WEIGHTS, metadata={"format": "pt", **noted})
