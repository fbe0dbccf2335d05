"""The study behind the training defaults (docs/decisions/0001-training-defaults.md): held-out loss by rate and pack.

.venv/bin/python benchmarks/training_defaults.py
"""

import tempfile
from pathlib import Path

from locum.dataset import extract, read_rows
from locum.sessions.scripted import write_sessions
from locum.training.base import resolve_base
from locum.training.loop import TrainOptions, train

GRID = ((1e-3, 1024), (2e-3, 1024), (1e-3, 512), (2e-3, 512), (4e-3, 512))
SEED = 7
"""Of the generated sessions; used for nothing else, so that validation and test rows may both be held out here."""


def main() -> None:
    """Train once for each point of the grid and print its line."""
    base = resolve_base("smollm2:135m")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_sessions(folder / "sessions", 30, SEED)
        extract([folder / "sessions"], folder / "dataset")
        rows = read_rows(folder / "dataset", "train")
        held_out = [*read_rows(folder / "dataset", "valid"), *read_rows(folder / "dataset", "test")]
        for rate, tokens in GRID:
            options = TrainOptions(learning_rate=rate, pack_tokens=tokens)
            result = train(rows, held_out, base, folder / f"{rate}-{tokens}", options)
            print(
                f"rate {rate:g}, {tokens} tokens a step: {result.steps} steps, {result.seconds:.0f} s, "
                f"held-out {result.valid_first:.3f} -> {result.valid_best:.3f} at step {result.best_step}",
                flush=True,
            )


if __name__ == "__main__":
    main()
