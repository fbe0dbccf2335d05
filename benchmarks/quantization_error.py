"""How far each type of model file is from full precision on a base, beside the certificate's bounds.

.venv/bin/python benchmarks/quantization_error.py [--base smollm2:135m] [TYPE...]

For every type: the file's size; the mean difference of next-token log-probabilities between the embedded engine and the
weights in full precision (`logprobs`, what `MEAN_BOUNDS` bounds), and between the engine and the file's own weights
(`own_weights`, what `engine_bound` bounds); the largest relative error of a tensor, with its bound; and the cost on
made-up responses in nats per token. Bounds are not applied here: what exceeds one is shown, with a mark.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from locum.export import parity
from locum.export.gguf_file import write_gguf
from locum.export.parity import MEAN_BOUNDS, Parity, certify, engine_bound
from locum.export.quantize import QUANTIZATIONS
from locum.export.read_back import check_weights
from locum.runtime.llamacpp import LlamaCpp
from locum.runtime.scorer import Scorer
from locum.sessions.scripted import write_sessions
from locum.training.base import Base, resolve_base
from locum.training.chat_template import Renderer
from locum.training.device import Device
from locum.types import Row

EXACT = Device("cpu", "float32")


def demo_rows(folder: Path) -> list[Row]:
    """Rows of generated sessions."""
    from locum.dataset.extract import extract
    from locum.dataset.store import read_rows

    write_sessions(folder / "logs", 16, seed=5)
    extract([str(folder / "logs")], folder / "data")
    return [row for split in ("test", "valid", "train") for row in read_rows(folder / "data", split)]


def measure(base: Base, renderer: Renderer, rows: Sequence[Row], kind: str, scratch: Path) -> tuple[Parity, int]:
    """One type's certificate with no bound applied, and its file's size."""
    file = scratch / f"{kind}.gguf"
    write_gguf(base.folder, base, renderer, file, kind, "m")
    free = dict.fromkeys(MEAN_BOUNDS, 1e9)
    with LlamaCpp(file) as engine, patch.multiple(parity, MEAN_BOUNDS=free, engine_bound=free.__getitem__):
        found = certify(
            renderer,
            engine,
            rows,
            lambda: Scorer(None, base.folder, EXACT),
            lambda: Scorer(file, base.folder, EXACT),
            quantization=kind,
            weights=check_weights(file, base.folder),
            logprob_prompts=24,
        )
    size = file.stat().st_size
    file.unlink()
    return found, size


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="smollm2:135m")
    parser.add_argument("types", nargs="*", default=list(QUANTIZATIONS))
    asked = parser.parse_args()
    base = resolve_base(asked.base)
    renderer = Renderer(base.folder)
    print("type      MB   logprobs (bound)  own weights (bound)  worst tensor (bound)  nats/token")
    with tempfile.TemporaryDirectory() as scratch:
        rows = demo_rows(Path(scratch))
        for kind in asked.types:
            found, size = measure(base, renderer, rows, kind, Path(scratch))
            assert found.logprobs is not None
            assert found.own_weights is not None
            assert found.weights is not None
            assert found.cost is not None
            bounds = MEAN_BOUNDS[kind], engine_bound(kind)
            values = found.logprobs.mean_abs_difference, found.own_weights.mean_abs_difference
            marks = ["!" if value > bound else " " for value, bound in zip(values, bounds, strict=True)]
            print(
                f"{kind:<7}{size / 1e6:>5.0f}   {values[0]:>8.4f} ({bounds[0]:.2f}){marks[0]}   {values[1]:>9.4f} "
                f"({bounds[1]:.2f}){marks[1]}   {found.weights.max_relative_error:>12.5f} ({found.weights.bound:.5f})  "
                f"{found.cost.nats_per_token:>+9.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
