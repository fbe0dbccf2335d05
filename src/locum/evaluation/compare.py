"""Two runs side by side: their tuned models on the rows that both were asked, with paired intervals."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from locum import files
from locum.errors import RunError
from locum.evaluation.results import Answer, Results, Sample
from locum.evaluation.statistics import clustered_mean, paired_difference
from locum.types import Estimate


class Pair(msgspec.Struct, frozen=True):
    """One measure of one family on identical rows."""

    family: str
    measure: str
    first: Estimate
    second: Estimate
    difference: Estimate
    """Second less first, paired by row."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What two runs say of the same rows."""

    first: str
    second: str
    rows: int
    """Rows that both answered."""
    sessions: int
    only_first: int
    only_second: int
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]


def compare(first: Path, second: Path) -> Comparison:
    """Compare two evaluated runs.

    Raises:
        RunError: a run was not evaluated, or they have no row in common.
    """
    (one, a), (two, b) = _read(first), _read(second)
    shared = [row for row in a if row in b]
    if not shared:
        raise RunError(
            f"{str(first)!r} and {str(second)!r} were asked no row in common; evaluate both on the same held-out rows"
        )
    pairs = []
    for family in ("all", *sorted({a[row].family for row in shared})):
        rows = [row for row in shared if family in ("all", a[row].family)]
        for name, measure in _MEASURES.items():
            pairs += _pair(family, name, measure, [a[row] for row in rows], [b[row] for row in rows])
    return Comparison(
        first=one.name,
        second=two.name,
        rows=len(shared),
        sessions=len({a[row].lineage for row in shared}),
        only_first=len(a) - len(shared),
        only_second=len(b) - len(shared),
        pairs=tuple(pairs),
        notes=_notes(one, two),
    )


def _right(answer: Answer) -> float | None:
    return None if answer.right is None else float(answer.right)


_MEASURES: dict[str, Callable[[Answer], float | None]] = {
    "loss": lambda answer: answer.loss,
    "right": _right,
    "made_up": lambda answer: float(bool(answer.made_up)),
    "loops": lambda answer: float(answer.loop),
    "repetition": lambda answer: answer.repetition,
}
"""Of an answer of the tuned model; None where the row has no such measure."""
_BOUNDS = {"right": (0.0, 1.0), "made_up": (0.0, 1.0), "loops": (0.0, 1.0), "repetition": (0.0, 1.0)}


def _pair(
    family: str,
    name: str,
    measure: Callable[[Answer], float | None],
    first: Sequence[Sample],
    second: Sequence[Sample],
) -> list[Pair]:
    both = [
        (x, y, sample.lineage)
        for sample, x, y in ((s, measure(s.tuned), measure(t.tuned)) for s, t in zip(first, second, strict=True))
        if x is not None and y is not None
    ]
    if not both:
        return []
    x, y, lineages = zip(*both, strict=True)
    # A loss has no upper end; what was seen bounds the interval of a single session.
    low, high = _BOUNDS.get(name, (0.0, max(*x, *y)))
    return [
        Pair(
            family,
            name,
            clustered_mean(x, lineages, bounds=(low, high)),
            clustered_mean(y, lineages, bounds=(low, high)),
            paired_difference(y, x, lineages, bounds=(low - high, high - low)),
        )
    ]


def _read(run: Path) -> tuple[Results, dict[str, Sample]]:
    folder = run / "evaluation"
    if not (folder / "results.json").is_file():
        raise RunError(f"{str(run)!r} holds no evaluation: run `locum evaluate {run}` first")
    samples = files.read_jsonl(folder / "samples.jsonl", Sample)
    return files.read_json(folder / "results.json", Results), {sample.row: sample for sample in samples}


def _notes(one: Results, two: Results) -> tuple[str, ...]:
    notes = []
    if one.base != two.base:
        notes.append(
            f"The bases differ ({one.base}, {two.base}): losses per token compare only where they cut words alike."
        )
    if one.engine != two.engine:
        notes.append(f"The engines differ ({one.engine}, {two.engine}).")
    if one.at_once != two.at_once:
        notes.append(
            f"Answers were generated {one.at_once} and {two.at_once} at a time, which alone makes many of them differ."
        )
    return tuple(notes)
