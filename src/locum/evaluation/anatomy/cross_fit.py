"""Every row held out once: cross-fitting by session, so that a small dataset is used whole.

The sessions of all splits are dealt into folds. For each fold an adapter is trained on the other ones by the run's own
recipe and looked at by the fold's rows, as the run's own is by its test rows; the tables of all folds together are
those of one run that held everything out. They rate the recipe and no artefact: nothing of them goes into a verdict.

A fold's adapter, and then its tables, lie in `RUN/.folds` until the anatomy is written. Who was cut goes on there: a
fold that was scored is not trained again, and a training goes on from its last state.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from locum import __version__, files
from locum.dataset.split import SPLITS
from locum.dataset.store import read_rows
from locum.evaluation import nll
from locum.evaluation.anatomy.folds import deal
from locum.evaluation.anatomy.passes import Seen, look, plan_of
from locum.evaluation.sample import choose
from locum.progress import Progress
from locum.runtime.adapter_scorer import AdapterScorer
from locum.settings import Lexicons
from locum.training.backend import TrainOptions
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.checkpoints import Checkpoint, list_checkpoints
from locum.training.load import context_length
from locum.training.loop import train
from locum.training.lora import WEIGHTS
from locum.training.recipe import kept_step, read_options
from locum.training.rows import encode_rows
from locum.types import Row

SCRATCH = ".folds"
"""In a run, until its anatomy is written."""
_TABLES = ("held_out", "trained", "ray")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of every fold alike."""

    base: Base
    options: TrainOptions
    strengths: tuple[float, ...]
    lexicons: Lexicons | None


class Fold(msgspec.Struct, frozen=True, kw_only=True):
    """What is trained on and what is looked at."""

    number: int
    """From 1."""
    train: tuple[Row, ...]
    held_out: tuple[Row, ...]
    """Of the fold itself."""
    looked_at: tuple[Row, ...]
    """Of the next fold, which is trained on: each row is looked at once as a training row, too."""


def cross_fit(
    run: Path,
    base: Base,
    count: int,
    caps: tuple[int, int],
    seed: int,
    strengths: tuple[float, ...],
    progress: Progress,
    lexicons: Lexicons | None,
) -> tuple[Seen, tuple[str, ...]]:
    """Train and look at every fold.

    Args:
        run: a trained run.
        base: its base.
        count: how many folds.
        caps: held-out rows and training rows that are looked at, over all folds.
        seed: of the dealing and of the choice.
        strengths: of the ray.
        progress: told about training and scoring.
        lexicons: the user's own words.

    Returns:
        The tables of all folds together, and what is to be known of them.

    Raises:
        RunError: there are fewer unrelated sessions than folds.
        TrainingError: the run does not say how it was trained, or a training failed.
    """
    by_split = {split: read_rows(run / "dataset", split) for split in SPLITS}
    rows = [row for split in SPLITS for row in by_split[split]]
    folds = _folds(rows, count, caps, seed)
    options = msgspec.structs.replace(
        read_options(run), max_steps=_steps(run, len(by_split["train"]), len(rows), count), patience=0, skip_bad=True
    )
    asked = Asked(base=base, options=options, strengths=strengths, lexicons=lexicons)
    scratch = run / SCRATCH
    _make_room(scratch, asked, folds)
    wanted = [fold for fold in folds if fold.held_out or fold.looked_at]
    found = [_done(fold, asked, scratch, _told(progress, fold.number, count)) for fold in wanted]
    seen = Seen(*(nll.together([getattr(one, name) for one in found]) for name in _TABLES))
    return seen, _notes(rows, asked)


def clean(run: Path) -> None:
    """Remove what cross-fitting left in a run: for when its anatomy is written."""
    files.remove(run / SCRATCH)


def run_fold(fold: Fold, asked: Asked, folder: Path, progress: Progress) -> Seen:
    """Train the adapter of a fold in `folder`, unless it is there, and look at it."""
    if not (folder / "adapter").is_dir():
        train(fold.train, (), asked.base, folder, asked.options, progress)
    renderer = Renderer(asked.base.folder)
    held_out, looked_at = (
        plan_of(rows, fold.train, renderer, asked.lexicons) for rows in (fold.held_out, fold.looked_at)
    )
    points = list_checkpoints(folder)
    kept = Checkpoint(points[-1].step, folder / "adapter" / WEIGHTS)
    with AdapterScorer(asked.base.folder, asked.options.shape) as scorer:
        return look(scorer, points, kept, (held_out, looked_at), asked.strengths, progress, f"fold {fold.number}, ")


def _folds(rows: Sequence[Row], count: int, caps: tuple[int, int], seed: int) -> list[Fold]:
    dealt = deal(rows, count, seed)
    held_out, looked_at = ({row.id for row in choose(rows, cap, seed)} for cap in caps)
    return [
        Fold(
            number=number,
            train=tuple(row for other in dealt if other is not fold for row in other),
            held_out=tuple(row for row in fold if row.id in held_out),
            looked_at=tuple(row for row in dealt[number % count] if row.id in looked_at),
        )
        for number, fold in enumerate(dealt, start=1)
    ]


def _steps(run: Path, trained_on: int, rows: int, count: int) -> int:
    """As many passes over a fold's training rows as the run's kept adapter took over its own.

    One number for all folds: their checkpoints line up, and none is ended by the rows that it is scored on. Where no
    step was better than the base, the run's last one counts.
    """
    kept = kept_step(run) or list_checkpoints(run)[-1].step
    return max(1, round(kept * rows * (count - 1) / count / trained_on))


def _make_room(scratch: Path, asked: Asked, folds: Sequence[Fold]) -> None:
    """Keep what was begun for the same request, and nothing else."""
    note, rows = (
        scratch / "request",
        [[row.id for row in some] for fold in folds for some in (fold.train, fold.held_out, fold.looked_at)],
    )
    request = files.digest(
        [__version__, asked.base.fingerprint(), asked.options, asked.strengths, asked.lexicons, rows]
    )
    if not note.is_file() or note.read_text("utf-8") != request:
        files.remove(scratch)
        files.write_text(note, request)


def _done(fold: Fold, asked: Asked, scratch: Path, progress: Progress) -> Seen:
    """The tables of a fold, as they were left or as they are made now."""
    done, folder = scratch / f"fold-{fold.number}", scratch / f"training-{fold.number}"
    if not done.is_dir():
        seen = run_fold(fold, asked, folder, progress)
        with files.atomic_path(done) as partial:
            partial.mkdir()
            for name in _TABLES:
                nll.write(getattr(seen, name), partial / f"{name}.parquet")
    files.remove(folder)
    return Seen(*(nll.read(done / f"{name}.parquet") for name in _TABLES))


def _told(progress: Progress, number: int, count: int) -> Progress:
    def tell(work: str, done: int, total: int, note: str = "") -> None:
        progress(f"fold {number} of {count}, {work}", done, total, note)

    return tell


def _notes(rows: Sequence[Row], asked: Asked) -> tuple[str, ...]:
    notes = [
        f"Every row was scored by an adapter that was trained on the other folds, {asked.options.max_steps} steps by"
        " this run's own recipe: what is said of it rates the recipe, and not the adapter of this run."
    ]
    folder = asked.base.folder
    if bad := encode_rows(rows, Renderer(folder), context_length(folder), skip_bad=True).skipped:
        notes.append(f"Trained on in no fold: {len(bad)} rows that must not be trained on, the first because: {bad[0]}")
    return tuple(notes)
