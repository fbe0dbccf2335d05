"""The adapter as it was along the way: RUN/checkpoints/step-NNNNN.safetensors, for whoever looks at how a run learned.

One file a checkpoint, with the adapter's tensors under PEFT's names and in the precision in which the model computed
with them. Step 0 is the base itself. The others lie at S/64, S/32 ... S/2 and S of S planned steps, because a curve
bends early; a run that stopped before S has one at the step where it stopped.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import torch

from locum import files
from locum.errors import TrainingError
from locum.training.lora import LoraLinear, adapter_state, load_adapter_state

FOLDER = "checkpoints"
_NAME = re.compile(r"step-(\d{5,})\.safetensors")


class Checkpoint(msgspec.Struct, frozen=True, order=True):
    """The adapter after `step` steps."""

    step: int
    path: Path


def checkpoint_steps(planned: int) -> frozenset[int]:
    """The steps of a run of `planned` steps after which the adapter is kept: at most nine, 0 and the last included."""
    return frozenset({0, *(max(1, round(planned / 2**power)) for power in range(7))})


def list_checkpoints(run: Path) -> list[Checkpoint]:
    """A run's checkpoints in the order of their steps; none where the run has none."""
    folder = run / FOLDER
    named = ((path, _NAME.fullmatch(path.name)) for path in folder.glob("step-*")) if folder.is_dir() else ()
    return sorted(Checkpoint(int(name[1]), path) for path, name in named if name)


def save_checkpoint(run: Path, step: int, layers: Mapping[str, LoraLinear]) -> None:
    """Keep the adapter as it stands after `step` steps."""
    from safetensors.torch import save_file

    precision = next(iter(layers.values())).base.weight.dtype
    state = {name: value.to(precision) for name, value in adapter_state(dict(layers)).items()}
    with files.atomic_path(run / FOLDER / f"step-{step:05}.safetensors") as partial:
        save_file(state, partial, metadata={"format": "pt"})


def load_into(layers: Mapping[str, LoraLinear], checkpoint: Checkpoint) -> None:
    """Put a checkpoint's adapter into layers that `locum.training.lora.add_lora` made with the run's shape.

    Raises:
        TrainingError: the file is damaged, or is of an adapter of another shape.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state: dict[str, torch.Tensor] = load_file(checkpoint.path)
    except (SafetensorError, OSError) as error:
        raise TrainingError(f"the checkpoint {str(checkpoint.path)!r} cannot be read ({error}); train again") from None
    try:
        load_adapter_state(dict(layers), state)
    except (KeyError, RuntimeError):
        raise TrainingError(
            f"the checkpoint {str(checkpoint.path)!r} is of an adapter with other layers or another rank; "
            "make the layers with the run's own shape"
        ) from None
