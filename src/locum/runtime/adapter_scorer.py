"""A base in torch with a run's adapter on it: at any checkpoint, and at any strength."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from locum.runtime.scorer import Scorer

if TYPE_CHECKING:
    from locum.training.backend import LoraShape
    from locum.training.checkpoints import Checkpoint
    from locum.training.device import Device
    from locum.training.lora import LoraLinear


class AdapterScorer(Scorer):
    """Scores with weights W + strength * (alpha / rank) * B A.

    The base is loaded once and the adapter changed on it, so that a look at nine checkpoints costs one load.

    Args:
        folder: the base, a Hugging Face folder.
        shape: of the run's adapter (`locum.training.lora.read_shape`).
        device: where and how precisely to compute; what is fastest here, where None.
    """

    def __init__(self, folder: Path, shape: "LoraShape", device: "Device | None" = None) -> None:
        from locum.training.lora import add_lora

        super().__init__(None, folder, device)
        self._layers: Mapping[str, LoraLinear] = add_lora(self._model, shape, seed=0)
        self._scale = shape.alpha / shape.rank

    def use(self, checkpoint: "Checkpoint") -> None:
        """Put a checkpoint's adapter on the base, at full strength.

        Raises:
            TrainingError: the file is damaged, or of an adapter of another shape.
        """
        from locum.training.checkpoints import load_into

        load_into(self._layers, checkpoint)
        self.set_strength(1.0)

    def set_strength(self, strength: float) -> None:
        """Scale the update of every weight: 0 is the base, 1 the adapter as trained (WiSE-FT, arXiv:2109.01903)."""
        for layer in self._layers.values():
            layer.scale = strength * self._scale
