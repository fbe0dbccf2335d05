"""A run's checkpoints on held-out and on training rows, and the adapter at every strength. Writes `RUN/anatomy/`.

With folds the checkpoints are those of every fold (`cross_fit`), and what is one artefact's stays the run's own.

The checkpoints are the adapter's, on the base in torch: an anatomy looks at how training went, and nothing before the
last step was ever a model file. The shipped file is looked at beside them, and what it says is in the run's evaluation,
which is read where it is there.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import polars as pl

from locum import files
from locum.dataset.store import read_rows
from locum.errors import RunError
from locum.evaluation import nll
from locum.evaluation.anatomy import cross_fit, summary
from locum.evaluation.anatomy.exhibits import exhibits
from locum.evaluation.anatomy.passes import STRENGTHS, at_strength, look, plan_of
from locum.evaluation.anatomy.results import Anatomy, Shifted
from locum.evaluation.anatomy.shift import shifts
from locum.evaluation.results import Gains, Results, Sample
from locum.evaluation.sample import choose
from locum.evaluation.scaling.forecast import Forecast
from locum.evaluation.scaling.results import Scaling
from locum.evaluation.scoring import Plan
from locum.progress import Progress, silent
from locum.runtime.adapter_scorer import AdapterScorer
from locum.runtime.scorer import Scorer
from locum.settings import Lexicons
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.checkpoints import Checkpoint, list_checkpoints
from locum.training.lora import WEIGHTS, read_shape
from locum.types import Message, Row

FOLDER = "anatomy"
OF_THE_RUN = (
    "Of this run's own adapter and its test rows alone: type and instance, quantization, token shift, rows shown."
)


class AnatomyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How much is looked at."""

    rows: int = 64
    """Held-out rows, chosen as by the evaluation."""
    train_rows: int = 24
    """Training rows, for what training remembers of its own rows."""
    seed: int = 0
    folds: int = 0
    """Cross-fit over so many; 0: the run's own test rows."""
    strengths: tuple[float, ...] = STRENGTHS
    """Of the ray."""


def measure(
    run: Path,
    base: Base,
    renderer: Renderer,
    options: AnatomyOptions | None = None,
    progress: Progress = silent,
    lexicons: Lexicons | None = None,
    scaling: Scaling | None = None,
) -> Anatomy:
    """Look at a run's checkpoints and write `RUN/anatomy` (anatomy.json; held_out, trained, ray and deployed.parquet).

    Args:
        run: a trained run; its evaluation adds type, instance, token shift and exhibits where it is there, its model
            file what quantization did.
        base: the run's base.
        renderer: the base's.
        options: caps, folds.
        progress: told about scoring.
        lexicons: the user's own words, by which tokens are told apart.
        scaling: a ladder over the same dataset, for the second axis.

    Raises:
        RunError: the run has no checkpoints, or holds nothing out.
        TrainingError: a checkpoint is damaged.
    """
    options = options or AnatomyOptions()
    started = time.monotonic()
    points = list_checkpoints(run)
    if len(points) < 2:
        raise RunError(f"{str(run)!r} holds no checkpoints: train it again with `locum train`, which keeps them")
    train, test = read_rows(run / "dataset", "train"), read_rows(run / "dataset", "test")
    held_out = plan_of(choose(test, options.rows, options.seed), train, renderer, lexicons)
    if not held_out.rows:
        raise RunError(f"{str(run)!r} holds nothing out that can be scored, so nothing can be looked at: add sessions")
    results, samples = _evaluated(run)
    shape, file = read_shape(run / "adapter"), _model_file(run)
    kept = Checkpoint(points[-1].step, run / "adapter" / WEIGHTS)
    crossed, notes = None, _notes(results, scaling, shape.strength)
    if options.folds:
        caps = (options.rows, options.train_rows)
        crossed, of_folds = cross_fit.cross_fit(
            run, base, options.folds, caps, options.seed, options.strengths, progress, lexicons
        )
        notes = (*of_folds, OF_THE_RUN, *notes)
    with AdapterScorer(base.folder, shape) as scorer:
        if crossed is None:
            trained = plan_of(choose(train, options.train_rows, options.seed), train, renderer, lexicons)
            seen = look(scorer, points, kept, (held_out, trained), options.strengths, progress)
        else:
            seen = crossed
            scorer.use(kept)
        own = seen.ray if crossed is None else nll.empty()
        written = nll.empty() if file is None else _written(scorer, shape.strength, options.strengths, own, held_out)
        shift = _shift(scorer, samples, train, test, renderer, lexicons, progress)
    tables = summary.Measured(
        held_out=seen.held_out,
        trained=seen.trained,
        ray=seen.ray,
        deployed=written if file is None else _deployed(file, run / "fused", written, held_out, progress),
    )
    classes, families, choices = _known(results.gains if results else None, scaling, options.strengths)
    anatomy = Anatomy(
        steps=tuple(seen.held_out["step"].unique().sort()),
        rows=seen.held_out["row"].n_unique(),
        sessions=seen.held_out["lineage"].n_unique(),
        train_rows=seen.trained["row"].n_unique(),
        folds=options.folds,
        classes=summary.class_parts(tables, classes),
        families=summary.family_parts(tables, families),
        choices=summary.choice_parts(tables, choices),
        strengths=options.strengths,
        strength=shape.strength,
        model_file="" if file is None else file.name,
        shift=shift,
        exhibits=exhibits(nll.read(run / "evaluation" / "nll.parquet"), samples) if results else (),
        seconds=time.monotonic() - started,
        notes=notes,
    )
    _write(run / FOLDER, anatomy, tables)
    cross_fit.clean(run)
    return anatomy


def _known(gains: Gains | None, scaling: Scaling | None, strengths: tuple[float, ...]) -> tuple[summary.Evidence, ...]:
    """What is known of classes, families and choices beside their curves."""
    of_classes = {**gains.classes, "all": gains.all} if gains else {}
    of_families = gains.families if gains else {}
    ladders: tuple[Mapping[str, Forecast], ...] = ({}, {}, {})
    if scaling:
        ladders = ({**scaling.classes, "all": scaling.all}, scaling.families, scaling.choices)
    return tuple(
        summary.Evidence(gains=known, forecasts=ladder, strengths=strengths)
        for known, ladder in zip((of_classes, of_families, {}), ladders, strict=True)
    )


def _model_file(run: Path) -> Path | None:
    """The run's model file; None where nothing is exported."""
    found = sorted((run / "model").glob("*.gguf"))
    return found[0] if found and (run / "fused").is_dir() else None


def _written(
    scorer: AdapterScorer,
    strength: float,
    strengths: Sequence[float],
    ray: pl.DataFrame,
    rows: Plan,
) -> pl.DataFrame:
    """The held-out rows with the adapter at the strength at which it was written, as step 0: off the run's own ray,
    where it is one of the ray's, as nearly always."""
    if ray.is_empty() or strength not in strengths:
        return at_strength(scorer, strength, 0, rows)
    first = pl.lit(0, ray.schema["step"])
    return ray.filter(pl.col("step") == strengths.index(strength)).with_columns(step=first)


def _deployed(file: Path, fused: Path, written: pl.DataFrame, rows: Plan, progress: Progress) -> pl.DataFrame:
    """The run's model file by its dequantized weights, as step 1 beside the adapter as written. Both compute alike, so
    that what differs is what fusing and quantizing did to the weights."""
    with Scorer(file, fused) as scorer:
        table = rows.score(scorer, arm="tuned", model=file.name, step=1, contexts="own", progress=progress).table
    return nll.together([written, table])


def _shift(
    scorer: AdapterScorer,
    samples: Sequence[Sample],
    train: Sequence[Row],
    test: Sequence[Row],
    renderer: Renderer,
    lexicons: Lexicons | None,
    progress: Progress,
) -> tuple[Shifted, ...]:
    """What the tuned model wrote in the evaluation, under the base."""
    rows = {row.id: row for row in test}
    answers = [_answered(rows[sample.row], sample) for sample in samples if sample.row in rows]
    said = [row for row in answers if row.response.content or row.response.tool_calls]
    planned = plan_of(said, train, renderer, lexicons)
    if not planned.rows:
        return ()
    scorer.set_strength(0.0)
    table = planned.score(scorer, arm="base", model="base", contexts="own", progress=progress).table
    texts = {
        token: row.response.text[start:end]
        for row in planned.rows
        for token, (start, end) in zip(row.response.tokens, row.response.spans, strict=True)
    }
    return shifts(table, texts)


def _answered(row: Row, sample: Sample) -> Row:
    said = Message(role="assistant", content=sample.tuned.text, tool_calls=sample.tuned.tool_calls)
    return msgspec.structs.replace(row, messages=(*row.prompt, said))


def _evaluated(run: Path) -> tuple[Results | None, list[Sample]]:
    folder = run / "evaluation"
    if not (folder / "results.json").is_file():
        return None, []
    return files.read_json(folder / "results.json", Results), list(files.read_jsonl(folder / "samples.jsonl", Sample))


def _notes(results: Results | None, scaling: Scaling | None, strength: float) -> tuple[str, ...]:
    notes = []
    if strength != 1:
        notes.append(f"The adapter was written at {strength:g} times the strength of its training, which is 1 here.")
    if results is None:
        notes.append("Nothing was evaluated yet: type and instance, token shift and exhibits are missing.")
    if scaling is None:
        notes.append("No ladder was run (`locum scaling`): whether more rows would move a class is not known.")
    return tuple(notes)


def _write(folder: Path, anatomy: Anatomy, tables: summary.Measured) -> None:
    with files.atomic_path(folder) as partial:
        partial.mkdir()
        for name in ("held_out", "trained", "ray", "deployed"):
            nll.write(getattr(tables, name), partial / f"{name}.parquet")
        files.write_json(partial / "anatomy.json", anatomy)
