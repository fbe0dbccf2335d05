"""A run with everything in it that a report can show: anatomy, ladder, losses token by token, favourite phrases."""

import json
import re
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from report_run import samples, write_run
from test_report_valleys import ANATOMY

from locum.evaluation import nll
from locum.evaluation.results import Sample
from locum.evaluation.scaling.forecast import Forecast, forecast
from locum.evaluation.scaling.ladder import Ladder
from locum.evaluation.scaling.results import Larger, Lever, Rung, Scaling
from locum.files import write_json, write_jsonl

PHRASE = "the habit is gone"


def a_forecast(rows: tuple[int, ...] = (8, 11, 16, 21, 32, 43, 64), fall: float = 3.0) -> Forecast:
    """Of a ladder that follows a law, or with `fall` 0 of one that does not fall."""
    random = np.random.default_rng(3)
    law = np.array([1.0 + fall * n**-0.5 for n in rows])
    cube = law[:, None, None] * 100 + random.normal(0, 0.4, (len(rows), 3, 12))
    return forecast(Ladder(rows, tuple(tuple(map(tuple, seeds)) for seeds in cube.tolist()), (100,) * 12))


def a_scaling() -> Scaling:
    found, still = a_forecast(), a_forecast(fall=0.0)
    rungs = tuple(Rung(n / 64, seed, n, max(1, n // 4), 20, 16, 9.5) for seed in range(3) for n in found.rows)
    gain = Lever(1.21, (1.18, 1.24), 0.16, (0.12, 0.2))
    return Scaling(
        base="smollm2:135m",
        fractions=tuple(n / 64 for n in found.rows),
        seeds=3,
        rungs=rungs,
        held_out_rows=40,
        held_out_sessions=12,
        all=found,
        classes={"verdict": still, "function_word": found},
        families={"reply": found, "post": still},
        choices={"reply": still},
        sessions={"reply": 9, "post": 7},
        rows={"reply": 34, "post": 30},
        dataset="0" * 64,
        seconds=640.0,
        larger=Larger(base="smollm2:360m", rungs=rungs[-1:], all=gain, families={"reply": gain}, choices={}),
    )


def losses(of: list[Sample]) -> pl.DataFrame:
    """Each agent's answer under both models, from 2.5 nats harder to 1.8 easier."""
    lines = []
    for sample in of:
        calls = "".join(
            f"<tool_call>\n{json.dumps({'name': call.name, 'arguments': call.arguments})}\n</tool_call>"
            for call in sample.agent.tool_calls
        )
        pieces = [*re.findall(r"\s*\S+", sample.agent.text + calls), "<|im_end|>"]
        ends = np.cumsum([len(piece) for piece in pieces])
        for arm in ("base", "tuned"):
            for context in ("own", "none"):
                for position, (piece, end) in enumerate(zip(pieces, ends, strict=True)):
                    loss = 2.0 if arm == "base" else (4.5, 0.2, 1.0, -0.5, 2.8)[position % 5]
                    line = dict.fromkeys(nll.SCHEMA) | {"row": sample.row, "session": sample.session, "arm": arm}
                    line |= {"lineage": sample.lineage, "family": sample.family, "model": arm, "context": context}
                    line |= {"position": position, "token": 1, "start": int(end) - len(piece), "end": int(end)}
                    class_ = "template" if piece == "<|im_end|>" else "other"
                    lines.append(line | {"text": piece, "class": class_, "loss": loss, "rank": 1})
    return pl.DataFrame(lines, schema=nll.SCHEMA)


def write_full_run(run: Path, rows: int = 23) -> Path:
    """`report_run.write_run` and all else, with `rows` answered prompts."""
    write_run(run)
    every = samples(rows)
    write_jsonl(run / "evaluation" / "samples.jsonl", every)
    nll.write(losses(every[:64]), run / "evaluation" / "nll.parquet")
    write_json(run / "evaluation" / "signatures.json", {"schema": 1, "phrases": {"tuned": [{"text": PHRASE}]}})
    write_json(run / "anatomy" / "anatomy.json", ANATOMY)
    write_json(run / "scaling.json", a_scaling())
    manifest = json.loads((run / "manifest.json").read_bytes())
    write_json(run / "manifest.json", manifest | {"memory": 1_400_000_000})
    results = json.loads((run / "evaluation" / "results.json").read_bytes())
    spent = {"seconds": {"score": 31.0, "generate": 46.0}, "token_forwards": {"base": 40_000, "tuned": 40_000}}
    write_json(run / "evaluation" / "results.json", results | spent)
    return run


def replaced(run: Path, **changes: object) -> None:
    """Write the run's ladder with other values."""
    write_json(run / "scaling.json", msgspec.structs.replace(a_scaling(), **changes))
