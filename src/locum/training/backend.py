"""What the product asks of a trainer, whatever it computes with; nothing here needs torch.

A backend is one function, `Backend`. `training.loop.train` is the one for this computer (CPU, CUDA, Apple GPUs),
`training.ray_train.train_on_ray` the one for a cluster, and `training.ray_train.trainer` chooses. Another one (MLX,
say) stands beside them: later rooms know rows, `TrainOptions`, `TrainResult` and the files that a run leaves, no more.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from locum.progress import Progress, silent
from locum.training.base import Base
from locum.types import Row


class LoraShape(msgspec.Struct, frozen=True):
    """Rank, scale and place of an adapter; the update of a weight is `alpha / rank * B @ A` while it is trained."""

    rank: int = 16
    alpha: int = 32
    top: int | None = None
    """Adapt this many of the decoder's last layers; None: all of them."""
    strength: float = 1.0
    """Of the adapter that is written: whoever loads it adds so many times the trained update (above 0, at most 2;
    WiSE-FT, arXiv:2109.01903)."""


class TrainOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a training run can be told; docs/decisions/ records where the defaults come from."""

    shape: LoraShape = LoraShape()
    learning_rate: float = 2e-3
    """Peak of the schedule: linear warm-up over the first twentieth, cosine down to a tenth."""
    epochs: int = 3
    max_steps: int | None = None
    """Stop after this many steps, however many passes that is; the schedule is fitted to it."""
    pack_tokens: int = 512
    """Tokens a step; one step is one pack."""
    patience: int = 3
    """Stop when held-out loss has not improved for this many looks at it; 0: never, all planned steps are taken."""
    seed: int = 0
    skip_bad: bool = False
    """Leave out rows that must not be trained on, and count them, instead of stopping at the first."""


class Metric(msgspec.Struct, frozen=True):
    """One line of `metrics.jsonl`; losses in nats per response token."""

    step: int
    seconds: float
    tokens: int
    """All tokens computed so far, prompts included."""
    train_loss: float | None
    valid_loss: float | None


class TrainResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a training run."""

    steps: int
    best_step: int
    """The step whose adapter was kept: the best held-out loss, or the last step where nothing is held out."""
    seconds: float
    tokens_per_second: float
    train_first: float
    """Loss before the first step, on a seeded choice of training rows: steps see different rows, so that their own
    losses cannot be compared."""
    train_last: float
    """Loss on the same rows after the last step."""
    valid_first: float | None
    valid_best: float | None
    rows: int
    valid_rows: int
    """Held-out rows that the loss was looked at on; a choice where all of them would cost too much."""
    skipped: tuple[str, ...]
    device: str
    dtype: str


class Backend(Protocol):
    """Rows and a base in, an adapter and its curve out."""

    def __call__(
        self,
        train_rows: Sequence[Row],
        valid_rows: Sequence[Row],
        base: Base,
        run: Path,
        options: TrainOptions | None = None,
        progress: Progress = silent,
        *,
        observe: Callable[[Metric], None] = ...,
    ) -> TrainResult:
        """Train an adapter for `base` and write it into `run`.

        It leaves `adapter/` in PEFT's format with `base.json` (name and fingerprint of the base) and `options.json`
        (the options), `metrics.jsonl` (a `Metric` a line, the first one the base's held-out loss), and `checkpoints/`
        as `training.checkpoints` names them; each whole or not at all. The loss is that of `training.loss`: the mean
        over a step's response tokens.

        Args:
            train_rows, valid_rows: what to learn from, and what is held out to see when to stop (may be empty).
            base, run, progress: what to adapt; the folder to write into; told after every step.
            observe: told every line of `metrics.jsonl` as it comes; in a resumed run those before it, too.

        Raises:
            TrainingError: no row to train on, a row that must not be trained on (`skip_bad` leaves it out), or a loss
                that is no longer a number.
        """
        ...
