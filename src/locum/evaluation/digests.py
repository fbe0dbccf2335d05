"""What an evaluation's figures were computed from, by digest."""

import hashlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from locum import __version__, files

INPUTS = ("samples.jsonl", "probes.jsonl", "nll.parquet", "questions.parquet", "signatures.json")
"""Files of `evaluation/` from which every figure can be computed again, and what speaks against the model."""
SPLITS = ("train.jsonl", "test.jsonl")


def digests_of(dataset: Path, evaluation: Path) -> dict[str, str]:
    """SHA-256 of the rows, of what the models wrote and scored, and of the code that counts.

    Args:
        dataset: the dataset folder.
        evaluation: the folder with `INPUTS`.

    Returns:
        file name, and `code`, -> hex digest.
    """
    found = {f"dataset/{name}": files.sha256_file(dataset / name) for name in SPLITS}
    found |= {f"evaluation/{name}": files.sha256_file(evaluation / name) for name in INPUTS}
    return {**found, "code": code()}


def changed(run: Path, digests: Mapping[str, str]) -> tuple[str, ...]:
    """Files of a run that are not what `digests` say they were; the code does not count.

    Raises:
        FileNotFoundError: one is missing.
    """
    now = digests_of(run / "dataset", run / "evaluation")
    return tuple(name for name, digest in digests.items() if name != "code" and now.get(name) != digest)


def code() -> str:
    """A digest of Locum's version and of everything in the evaluation room."""
    parts = hashlib.sha256(__version__.encode())
    root = Path(str(resources.files("locum.evaluation")))
    for path in sorted(root.rglob("*.py")):
        parts.update(path.read_bytes())
    return parts.hexdigest()
