"""How a run was trained, by what its training left: for whoever trains the like of it."""

from pathlib import Path

import msgspec

from locum import files
from locum.errors import TrainingError
from locum.training.backend import Metric, TrainOptions

OPTIONS = "options.json"
"""Beside the adapter: the `TrainOptions` of its training."""


def read_options(run: Path) -> TrainOptions:
    """The options of a run's training.

    Raises:
        TrainingError: they were not kept, or cannot be read.
    """
    path = run / "adapter" / OPTIONS
    try:
        return files.read_json(path, TrainOptions)
    except FileNotFoundError:
        raise TrainingError(
            f"{str(run)!r} does not say with which options it was trained; train it again with `locum train`"
        ) from None
    except (OSError, msgspec.MsgspecError) as error:
        raise TrainingError(f"{str(path)!r} cannot be read ({error}); train the run again") from None


def kept_step(run: Path) -> int:
    """The step whose adapter a run kept: that of its best held-out loss, the last where nothing was held out.

    Raises:
        TrainingError: there is no curve, or it cannot be read.
    """
    path = run / "metrics.jsonl"
    try:
        curve = files.read_jsonl(path, Metric)
    except (OSError, msgspec.MsgspecError) as error:
        raise TrainingError(f"{str(path)!r} cannot be read ({error}); train the run again") from None
    looks = [(metric.valid_loss, metric.step) for metric in curve if metric.valid_loss is not None]
    return min(looks)[1] if looks else max((metric.step for metric in curve), default=0)
