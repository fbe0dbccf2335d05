"""The study behind the training defaults: held-out loss by CPU-second, arm by arm, on several corpora.

.venv/bin/python benchmarks/training_defaults.py DATASET... [--arm NAME]... [--tokens 40000] [--seeds 1] [--json]

Each DATASET is a folder that `locum extract` wrote. Of each, training rows up to `--tokens` and held-out rows up to a
quarter of that are used (a seeded choice of rows of at most 2,048 tokens), by every arm alike. An arm differs from the
defaults in what its name says, and is a process of its own; time is CPU-seconds of the whole process since the first
step, so that other work on the machine does not count.

`loss` is the best held-out loss; `at_equal_cpu` the best loss by the CPU-seconds that the cheapest arm of this corpus
took in all, which is what a default is chosen by.

What the arms stand for: B begins as zero and Adam's steps do not depend on a gradient's size, so multiplying B's rate
by c (LoRA+, arXiv:2402.12354) and multiplying alpha by c are the same run but for Adam's epsilon and the clipping of
gradients, and rsLoRA (arXiv:2312.03732) at one rank is a choice of alpha. The arms `alpha` therefore are both.
"""

import argparse
import json
import random
import resource
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import measured
import msgspec

from locum.dataset import read_rows
from locum.progress import silent
from locum.training import schedule
from locum.training.backend import Metric, TrainOptions
from locum.training.base import resolve_base
from locum.training.chat_template import Renderer
from locum.training.loop import train
from locum.training.rows import encode_rows
from locum.types import Row

LONGEST = 2048
DEFAULT = TrainOptions()


def _shape(**changes: Any) -> TrainOptions:
    return msgspec.structs.replace(DEFAULT, shape=msgspec.structs.replace(DEFAULT.shape, **changes))


def _with(**changes: Any) -> TrainOptions:
    return msgspec.structs.replace(DEFAULT, **changes)


ARMS = {
    "defaults": DEFAULT,
    "rate 2.5e-4": _with(learning_rate=2.5e-4),
    "rate 5e-4": _with(learning_rate=5e-4),
    "rate 1e-3": _with(learning_rate=1e-3),
    "rate 4e-3": _with(learning_rate=4e-3),
    "rank 4": _shape(rank=4, alpha=8),
    "rank 8": _shape(rank=8, alpha=16),
    "rank 32": _shape(rank=32, alpha=64),
    "alpha x 0.5": _shape(alpha=DEFAULT.shape.alpha // 2),
    "alpha x 4": _shape(alpha=DEFAULT.shape.alpha * 4),
    "alpha x 16": _shape(alpha=DEFAULT.shape.alpha * 16),
    "top 8": _shape(top=8),
    "top 16": _shape(top=16),
    "top 24": _shape(top=24),
    "pack 256": _with(pack_tokens=256),
    "pack 1024": _with(pack_tokens=1024),
    "constant rate": DEFAULT,
    "linear to nought": DEFAULT,
    "epochs 2": _with(epochs=2),
    "epochs 5": _with(epochs=5),
}
SCHEDULES = {
    "constant rate": lambda step, steps: min(1.0, (step + 1) / max(1, round(steps / 20))),
    "linear to nought": lambda step, steps: min((step + 1) / max(1, round(steps / 20)), 1 - step / steps),
}


def choose(dataset: Path, tokens: int, base: str, seed: int) -> tuple[list[Row], list[Row]]:
    """Rows to train on and to look at."""
    renderer = Renderer(resolve_base(base).folder)

    def some(rows: list[Row], budget: int) -> list[Row]:
        chosen, size = [], 0
        for row in random.Random(seed).sample(rows, len(rows)):
            for encoded in encode_rows([row], renderer, LONGEST, skip_bad=True).encoded:
                if size + len(encoded.tokens) <= budget:
                    chosen.append(row)
                    size += len(encoded.tokens)
        return chosen

    held_out = [*read_rows(dataset, "valid"), *read_rows(dataset, "test")]
    return some(read_rows(dataset, "train"), tokens), some(held_out, tokens // 4)


def measure(given: argparse.Namespace, arm: str) -> dict[str, Any]:
    """In a child: one arm on one corpus."""
    if arm in SCHEDULES:
        schedule.rate = SCHEDULES[arm]  # type: ignore[assignment]
    rows, held_out = choose(given.datasets[0], given.tokens, given.base, given.seed)
    looks: list[tuple[float, float]] = []
    begun = 0.0

    def observe(metric: Metric) -> None:
        nonlocal begun
        used = resource.getrusage(resource.RUSAGE_SELF)
        begun = begun or used.ru_utime + used.ru_stime
        if metric.valid_loss is not None:
            looks.append((used.ru_utime + used.ru_stime - begun, metric.valid_loss))

    options = msgspec.structs.replace(ARMS[arm], seed=given.seed)
    with tempfile.TemporaryDirectory() as scratch:
        result = train(rows, held_out, resolve_base(given.base), Path(scratch), options, silent, observe=observe)
    return {"rows": len(rows), "held_out": len(held_out), "looks": looks, "best_step": result.best_step}


def arguments(text: str | None, arms: Iterable[str], tokens: int) -> argparse.ArgumentParser:
    """What a study of arms on corpora can be told.

    Args:
        text: the study's docstring.
        arms: their names.
        tokens: of training rows, where nothing else is said.
    """
    parser = argparse.ArgumentParser(description=(text or "").splitlines()[0])
    parser.add_argument("datasets", type=Path, nargs="+", metavar="DATASET")
    parser.add_argument("--arm", dest="arms", action="append", choices=arms, help="only these arms")
    parser.add_argument("--base", default="smollm2:135m")
    parser.add_argument("--tokens", type=int, default=tokens, help="of training rows, each pass")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    return parser


def main() -> None:
    """Run every arm on every corpus and print a table."""
    parser = arguments(__doc__, ARMS, tokens=40_000)
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given, given.measure)))
        return
    lines: list[dict[str, Any]] = []
    for dataset in given.datasets:
        for seed in range(given.seeds):
            passed = [str(dataset), "--base", given.base, "--tokens", str(given.tokens), "--seed", str(seed)]
            found = {arm: measured.child(__file__, *passed, "--measure", arm) for arm in given.arms or ARMS}
            budget = min(one["looks"][-1][0] for one in found.values())
            for arm, one in found.items():
                line = {
                    "corpus": dataset.name,
                    "seed": seed,
                    "arm": arm,
                    "rows": one["rows"],
                    "held_out": one["held_out"],
                    "untrained": round(one["looks"][0][1], 3),
                    "loss": round(min(loss for _, loss in one["looks"]), 3),
                    "best_step": one["best_step"],
                    "cpu_seconds": round(one["looks"][-1][0], 1),
                    "at_equal_cpu": round(min(loss for cpu, loss in one["looks"] if cpu <= budget), 3),
                }
                lines.append(line)
                if not given.json:
                    print("  ".join(f"{name} {value}" for name, value in line.items()), flush=True)
    if given.json:
        print(json.dumps(lines))


if __name__ == "__main__":
    main()
