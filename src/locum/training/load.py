"""A base as a model that trains and scores in packs, or a refusal where it would not compute what its maker meant."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from locum.errors import TrainingError
from locum.training import attention
from locum.training.device import Device
from locum.training.loss import hidden_states, logits

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_LAYERS = {"full_attention", "sliding_attention"}
"""Kinds of decoder layers in which a pack's blocks stay apart; others (convolutions, states, chunks) look past them."""
_DYNAMIC = {"dynamic", "longrope"}
"""Rotary embeddings that change for all tokens as soon as one lies beyond the original context."""
_TOLERANCE = 0.1
"""Of the check's logits, relative to their spread: far above bfloat16's rounding, far below a missing piece."""


def load_model(folder: Path, device: Device) -> Any:
    """Load a causal language model for packed training or scoring, in evaluation mode, on `device`.

    Raises:
        TrainingError: its architecture asks for something that packs do not honour.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    attention.register()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=device.torch_dtype, attn_implementation=attention.NAME)
    # The decorator on `to` hides from type checkers that it takes a device's name.
    model = cast(Any, model).to(device.name).eval()
    _require_honoured(model)
    return model


def context_length(folder: Path) -> int:
    """How many tokens a base can see at once, by its configuration."""
    from transformers import AutoConfig

    config = _text_config(AutoConfig.from_pretrained(folder))
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = [rope, *(value for value in rope.values() if isinstance(value, dict))]
    if any(kind.get("rope_type") in _DYNAMIC for kind in kinds):
        # Beyond it one long row would change its neighbours in the pack.
        original = getattr(config, "original_max_position_embeddings", None)
        originals = [kind.get("original_max_position_embeddings", original) for kind in kinds]
        return min(int(config.max_position_embeddings), *(int(value) for value in originals if value))
    return int(config.max_position_embeddings)


def _text_config(config: "PretrainedConfig") -> Any:
    return config.get_text_config()


def _require_honoured(model: Any) -> None:
    """Refuse a model that does not compute in a pack what its own code computes for each row alone.

    Two short blocks side by side through our attention and logits, against each alone through transformers' plain
    attention and the model's own head: scaled logits, attention sinks, states that run on and whatever else comes
    along show here, without a list of architectures.
    """
    kind = model.config.model_type
    layers = set(getattr(_text_config(model.config), "layer_types", None) or ())
    if layers - _LAYERS:
        raise TrainingError(
            f"a {kind} model has layers of the kind {', '.join(sorted(layers - _LAYERS))}, which training in packs "
            "does not honour; choose a base of another architecture"
        )
    size = _text_config(model.config).vocab_size
    ids = torch.arange(11, device=model.device) * 7919 % size
    blocks = [4, 7]
    with torch.no_grad():
        ours = logits(model, hidden_states(model, ids, blocks)).float()
        model.set_attn_implementation("eager")
        try:
            alone = [model(input_ids=part[None], use_cache=False).logits[0].float() for part in ids.split(blocks)]
        finally:
            model.set_attn_implementation(attention.NAME)
    theirs = torch.cat(alone)
    off = float((ours - theirs).norm() / (theirs - theirs.mean(-1, keepdim=True)).norm())
    # A model with damaged weights gives no number, and training says so with the step.
    if off > _TOLERANCE:
        raise TrainingError(
            f"a {kind} model computes something that training in packs does not honour: its logits are off by "
            f"{off:.0%} of their spread; choose a base of another architecture"
        )
