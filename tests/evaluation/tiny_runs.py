"""Runs that can be evaluated in a second or two, and runs that are evaluated already."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
from answer_samples import samples_of, silent
from small_models import write_adapter

from locum import files
from locum.dataset.stats import LineCounts, Stats
from locum.dataset.store import encode_row
from locum.evaluation import going_wrong, nll
from locum.evaluation.conclude import conclude
from locum.evaluation.digests import digests_of
from locum.evaluation.losses import Model, Tables
from locum.evaluation.questions import QUESTION_SCHEMA
from locum.evaluation.results import Results
from locum.evaluation.sample import describe
from locum.export.fuse import fuse
from locum.export.gguf_file import write_gguf
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.types import Row


def tiny_models(base: Base, renderer: Renderer, folder: Path) -> tuple[Model, Model]:
    """The tiny base and the same with a random adapter, as model files."""
    write_adapter(base.folder, folder / "adapter")
    fuse(base, folder / "adapter", folder / "fused", renderer)
    write_gguf(base.folder, base, renderer, folder / "base.gguf", "F32", "base")
    write_gguf(folder / "fused", base, renderer, folder / "tuned.gguf", "F32", "tuned")
    return Model(folder / "base.gguf", base.folder), Model(folder / "tuned.gguf", folder / "fused")


def put(run: Path, train: Sequence[Row], test: Sequence[Row], **stats: Any) -> None:
    """Write the dataset of a run."""
    (run / "dataset").mkdir(parents=True)
    for split, rows in (("train", train), ("test", test)):
        (run / "dataset" / f"{split}.jsonl").write_bytes(b"".join(encode_row(row) + b"\n" for row in rows))
    (run / "dataset" / "contrast.jsonl").write_bytes(b"")
    rows = [*train, *test]
    counts: dict[str, Any] = dict.fromkeys(("narration", "untimed", "without_turns", "shortened"), 0)
    empty: dict[str, Any] = {name: {} for name in ("noise", "unknown", "drops", "redactions", "formats", "models")}
    told = {
        "files": 1,
        "sessions": len({row.session for row in rows}),
        "lines": LineCounts(),
        "bad": (),
        "turns": len(rows),
        "rows": len(rows),
        "families": {family: sum(row.family == family for row in rows) for family in {row.family for row in rows}},
        "splits": {"train": len(train), "valid": 0, "test": len(test)},
        "ordered_by": "time",
        "sessions_by_split": {"train": 1, "valid": 0, "test": 1},
        "tiers": {"verified": len(rows)},
        "context_chars": 6000,
        "response_chars": 3000,
    }
    files.write_json(run / "dataset" / "stats.json", Stats(**{**counts, **empty, **told, **stats}))


def put_evaluated(run: Path, train: Sequence[Row], test: Sequence[Row], **stats: Any) -> Results:
    """Write a run as it stands once a base and a tuned model that say nothing of use were evaluated; no losses."""
    put(run, train, test, **stats)
    folder = run / "evaluation"
    folder.mkdir()
    tables = Tables(nll.empty(), pl.DataFrame(schema=QUESTION_SCHEMA), {})
    samples = going_wrong.trace(samples_of(list(test), silent, silent, list(train)), test, train)
    whole = describe(test, test, len(test))
    header = Results(
        name="mine",
        base="tiny",
        model_file="mine.gguf",
        model_sha256="0" * 64,
        engine="none",
        scored=whole,
        generated=whole,
        max_new_tokens=8,
    )
    results = conclude(header, samples, train, [], tables)
    nll.write(tables.table, folder / "nll.parquet")
    nll.write(tables.questions, folder / "questions.parquet")
    files.write_jsonl(folder / "samples.jsonl", samples)
    files.write_jsonl(folder / "probes.jsonl", [])
    files.write_json(folder / "signatures.json", going_wrong.found_in(samples, [], train, None, None))
    results = msgspec.structs.replace(results, digests=digests_of(run / "dataset", folder))
    files.write_json(folder / "results.json", results)
    return results
