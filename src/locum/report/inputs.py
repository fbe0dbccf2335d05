"""What the report reads: the files of a run directory, each of them optional, none of them trusted.

A part that is absent or cannot be read becomes a `gap`: a sentence that the page shows in its place.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from polars.exceptions import PolarsError

from locum.dataset.scores import SCORES, RowScore
from locum.dataset.stats import Stats
from locum.errors import RunError, UnreadableError
from locum.evaluation.anatomy.results import Anatomy
from locum.evaluation.quant_results import Ladder
from locum.evaluation.results import Results, Sample
from locum.evaluation.scaling.results import Scaling
from locum.files import read_json, sha256_file
from locum.locks import is_written
from locum.report.tints import Answers, read_tokens
from locum.report.voices import SHOWN, spread
from locum.types import Drop

T = TypeVar("T")

EXCERPTS_PER_REASON = 4
"""A few are enough to see what a reason means; all of them are in `dataset/drops.jsonl`."""

_LEFT_BY = {
    "manifest.json": "No manifest.json: this run is not finished, so its versions and times are not shown.",
    "dataset/stats.json": "No dataset/stats.json: how many turns became rows is not known.",
    "dataset/drops.jsonl": "No dataset/drops.jsonl: there are no excerpts of what was left behind.",
    "metrics.jsonl": "No metrics.jsonl: nothing was trained in this run yet, so there is no curve.",
    "model/parity.json": "No model/parity.json: whether the model is served as it was trained is unchecked.",
    "evaluation/results.json": "No evaluation/results.json: nothing was measured on held-out rows yet.",
    "evaluation/samples.jsonl": "No evaluation/samples.jsonl: there are no answers to show side by side.",
    "verdict.json": "No verdict.json: the gate has not spoken, so nothing may be handed over.",
}

UNDER_WAY = "No metrics.jsonl: training is under way, and its curve is written when it ends."
INTERRUPTED = "No metrics.jsonl: training was interrupted; the same command goes on with it."


class Step(msgspec.Struct, frozen=True):
    """A line of `metrics.jsonl`. Losses are in nats per token."""

    step: int
    seconds: float = 0.0
    tokens: int = 0
    train_loss: float | None = None
    valid_loss: float | None = None


class LogProbs(msgspec.Struct, frozen=True):
    """How far the next-token log-probs of the model file are from the fused model's, in nats."""

    tokens: int = 0
    mean_abs_difference: float | None = None
    max_abs_difference: float | None = None


class Parity(msgspec.Struct, frozen=True):
    """`model/parity.json`: whether the engine sees the tokens that training saw."""

    checked: int
    identical: int
    engine: str = ""
    logprobs: LogProbs | None = None


class Check(msgspec.Struct, frozen=True):
    """One condition of the gate."""

    name: str
    passed: bool | None = None
    detail: str = ""


class Route(msgspec.Struct, frozen=True):
    """Which requests of a family the model could answer."""

    reason: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """The gate's word on one family, as `verdict.json` holds it."""

    family: str
    verdict: str
    reason: str = ""
    sessions: int = 0
    rows: int = 0
    effective_rows: float | None = None
    sessions_needed: int | None = None
    margin: float | None = None
    alpha: float | None = None
    checks: tuple[Check, ...] = ()
    route: Route | None = None
    evaluation: str = ""


class _Favourite(msgspec.Struct, frozen=True):
    text: str


class _Signatures(msgspec.Struct, frozen=True):
    """What is read of `evaluation/signatures.json`."""

    phrases: dict[str, tuple[_Favourite, ...]] = {}


class Excerpts(msgspec.Struct, frozen=True):
    """The first few drops of each reason."""

    by_reason: dict[str, tuple[Drop, ...]]


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """All that a run directory holds for the report; None or empty where it holds nothing."""

    run: Path
    manifest: dict[str, Any]
    stats: Stats | None
    excerpts: Excerpts
    scores: tuple[RowScore, ...]
    """Empty where rows were not scored, which is no gap: it is done on request."""
    curve: tuple[Step, ...]
    anatomy: Anatomy | None
    """None where nobody asked for it, which is no gap."""
    parity: Parity | None
    ladder: Ladder | None
    """None where the type was named, which is no gap."""
    results: Results | None
    samples: tuple[Sample, ...]
    tokens: Answers
    """Of the samples that are shown in full view; empty where the losses are missing, which is no gap."""
    favourites: dict[str, tuple[str, ...]]
    """Arm -> its favourite phrases."""
    scaling: Scaling | None
    """None where nobody asked for it, which is no gap."""
    verdicts: dict[str, Verdict]
    gaps: dict[str, str]
    """File, relative to the run -> one sentence on why it is not shown."""


def read_run(run: Path, manifest: Mapping[str, Any] | None = None) -> Inputs:
    """Read what `run` holds; `manifest` stands in for a manifest.json that is not written yet.

    Raises:
        RunError: `run` is no folder, or holds none of the files of a run.
    """
    if not run.is_dir():
        raise RunError(f"no run folder at {str(run)!r}: give the folder that `locum run` wrote")
    gaps: dict[str, str] = {}

    def part(name: str, read: Callable[[Path], T]) -> T | None:
        try:
            return read(run / name)
        except (FileNotFoundError, NotADirectoryError):
            if name in _LEFT_BY:
                gaps[name] = _LEFT_BY[name]
        except (msgspec.MsgspecError, UnicodeDecodeError, PolarsError) as error:
            reason = error.reason if isinstance(error, UnreadableError) else error
            gaps[name] = f"{name} is there but cannot be read ({reason}); what it holds is not shown."
        return None

    def lines(name: str, type_: type[T]) -> tuple[T, ...]:
        read = part(name, lambda path: _read_lines(path, type_))
        values, bad = read if read is not None else ([], 0)
        if bad:
            gaps[name] = f"{_count(bad)} of {name} cannot be read and {'is' if bad == 1 else 'are'} not shown."
        return tuple(values)

    samples = lines("evaluation/samples.jsonl", Sample)
    shown = [sample.row for sample in spread(samples)[:SHOWN]]
    signs = part("evaluation/signatures.json", lambda path: read_json(path, _Signatures))
    inputs = Inputs(
        run=run,
        manifest=dict(manifest)
        if manifest is not None
        else part("manifest.json", lambda path: read_json(path, dict[str, Any])) or {},
        stats=part("dataset/stats.json", lambda path: read_json(path, Stats)),
        excerpts=part("dataset/drops.jsonl", _read_excerpts) or Excerpts({}),
        scores=lines(f"dataset/{SCORES}", RowScore),
        curve=lines("metrics.jsonl", Step),
        anatomy=part("anatomy/anatomy.json", lambda path: read_json(path, Anatomy)),
        parity=part("model/parity.json", lambda path: read_json(path, Parity)),
        ladder=part("model/ladder.json", lambda path: read_json(path, Ladder)),
        results=part("evaluation/results.json", lambda path: read_json(path, Results)),
        samples=samples,
        tokens=part("evaluation/nll.parquet", lambda path: read_tokens(path, shown)) or {},
        favourites={arm: tuple(one.text for one in said) for arm, said in signs.phrases.items()} if signs else {},
        scaling=part("scaling.json", lambda path: read_json(path, Scaling)),
        verdicts=part("verdict.json", lambda path: read_json(path, dict[str, Verdict])) or {},
        gaps=gaps,
    )
    results = run / "evaluation" / "results.json"
    if inputs.verdicts and results.is_file():
        now = sha256_file(results)
        if any(verdict.evaluation != now for verdict in inputs.verdicts.values()):
            gaps["verdict.json"] = (
                "verdict.json is of another evaluation than the one that is shown here: run `locum gate` on this run."
            )
            inputs = msgspec.structs.replace(inputs, verdicts={})
    if not (run / "metrics.jsonl").exists() and (run / ".training").is_dir():
        gaps["metrics.jsonl"] = UNDER_WAY if is_written(run) else INTERRUPTED
    if not any((run / name).exists() for name in _LEFT_BY):
        raise RunError(f"{str(run)!r} holds no run: none of {', '.join(_LEFT_BY)} is in it")
    return inputs


def _count(bad: int) -> str:
    return "One line" if bad == 1 else f"{bad:,} lines"


def _read_lines(path: Path, type_: type[T]) -> tuple[list[T], int]:
    """The readable lines, and how many were not: a run killed while it wrote leaves a torn last line."""
    decoder = msgspec.json.Decoder(type_)
    values: list[T] = []
    bad = 0
    with path.open("rb") as lines:
        for line in lines:
            if line.strip():
                try:
                    values.append(decoder.decode(line))
                except msgspec.MsgspecError:
                    bad += 1
    return values, bad


def _read_excerpts(path: Path) -> Excerpts:
    """The first few excerpts of each reason, no two from one session while others can be had."""
    decoder = msgspec.json.Decoder(Drop)
    kept: dict[str, list[Drop]] = {}
    seen: Counter[tuple[str, str]] = Counter()
    with path.open("rb") as lines:
        for line in lines:
            drop = decoder.decode(line)
            if not drop.excerpt.strip():
                continue
            chosen = kept.setdefault(drop.reason, [])
            # Later sessions replace a second excerpt of an earlier one, so that the few come from many.
            if len(chosen) < EXCERPTS_PER_REASON:
                chosen.append(drop)
                seen[drop.reason, drop.session] += 1
            elif not seen[drop.reason, drop.session]:
                twice = next((i for i, d in enumerate(chosen) if seen[drop.reason, d.session] > 1), None)
                if twice is not None:
                    seen[drop.reason, chosen[twice].session] -= 1
                    chosen[twice] = drop
                    seen[drop.reason, drop.session] += 1
    return Excerpts({reason: tuple(drops) for reason, drops in kept.items()})
