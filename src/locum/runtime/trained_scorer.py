"""Scoring with a model that training has just left in memory, so that it need not be loaded again."""

from typing import Any

from locum.runtime import prefixes
from locum.runtime.scorer import Scorer


class TrainedScorer(Scorer):
    """Scores with a model in torch that is there already (`locum.training.loop.train` hands it to `use`).

    Args:
        model: in evaluation mode. It scores with this room's attention from then on, and trains no more.
    """

    def __init__(self, model: Any) -> None:
        self.tokens_computed = 0
        prefixes.register()
        model.set_attn_implementation(prefixes.NAME)
        self._model = model
