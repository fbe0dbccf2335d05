"""A run directory as 91 rows of thirty sessions might leave it; texts and figures are made up for it."""

import math
from pathlib import Path
from typing import Any

from report_texts import DROPS, SAMPLES

from locum.dataset.stats import LineCounts, Stats
from locum.evaluation.results import Results, Sample, Sampled
from locum.files import sha256_file, write_json, write_jsonl
from locum.types import BadLine, Drop, Estimate


def estimate(value: float, low: float, high: float, rows: int = 23, sessions: int = 8) -> Estimate:
    """An estimate, by position."""
    return Estimate(value, low, high, rows, sessions)


STATS = Stats(
    files=31,
    sessions=30,
    lines=LineCounts(total=4_812, used=2_967, noise=1_833, unknown=11, bad=1),
    noise={"progress": 1_500, "file-history-snapshot": 333},
    unknown={"future-kind": 11},
    bad=(BadLine("a.jsonl", 7, "cut in the middle"),),
    turns=268,
    rows=91,
    drops={
        "copy": 83,
        "context_too_long": 41,
        "duplicate": 22,
        "tool_error": 14,
        "interrupted": 9,
        "synthetic": 6,
        "truncated": 2,
    },
    families={"tool_decision": 34, "code_review": 24, "reply": 19, "post": 14},
    splits={"train": 58, "valid": 10, "test": 23},
    sessions_by_split={"train": 18, "valid": 4, "test": 8},
    redactions={"EMAIL": 14, "API_KEY": 3, "PHONE": 2, "HOME_PATH": 57},
    formats={"claude_code": 27, "openai_chat": 4},
    narration=37,
    ordered_by="time",
    untimed=0,
    without_turns=1,
    context_chars=6000,
    response_chars=3000,
    shortened=12,
    tiers={"verified": 29, "recorded": 62},
    models={"anthropic/some-model": 80, "unknown/unknown": 11},
)


def write_run(run: Path) -> Path:
    """Write the whole run directory and return it."""
    (run / "model").mkdir(parents=True)
    (run / "model" / "relay-hand.Q8_0.gguf").write_bytes(b"GGUF" * 250_000)
    write_json(
        run / "manifest.json",
        {
            "name": "relay-hand",
            "base": "smollm2:135m",
            "created": "2025-03-14T09:26:53Z",
            "versions": {
                "locum": "0.1.0",
                "python": "3.11.9",
                "torch": "2.9.1",
                "transformers": "5.1.0",
                "xllamacpp": "2026.2.1",
            },
            "seconds": {
                "extract": 1.9,
                "train": 84.2,
                "export": 11.6,
                "deploy": 0.4,
                "evaluate": 61.3,
                "gate": 0.1,
            },
            "deployed": {"engine": "embedded llama.cpp", "name": "relay-hand"},
        },
    )
    write_json(run / "dataset" / "stats.json", STATS)
    write_jsonl(
        run / "dataset" / "drops.jsonl",
        (Drop(session=f"s{i:02d}", turn=i, reason=reason, excerpt=text) for i, (reason, text) in enumerate(DROPS)),
    )
    write_jsonl(run / "metrics.jsonl", _metrics(240))
    write_json(
        run / "model" / "parity.json",
        {
            "engine": "xllamacpp 2026.2.1",
            "checked": 12,
            "identical": 12,
            "conversations": [],
            "logprobs": {"tokens": 1_480, "mean_abs_difference": 0.0061, "max_abs_difference": 0.071},
        },
    )
    write_json(run / "evaluation" / "results.json", RESULTS)
    write_jsonl(run / "evaluation" / "samples.jsonl", samples(23))
    write_verdicts(run, VERDICTS)
    return run


def write_verdicts(run: Path, verdicts: dict[str, dict[str, Any]]) -> None:
    """The gate's word on the evaluation that is there."""
    judged = sha256_file(run / "evaluation" / "results.json")
    write_json(run / "verdict.json", {family: {**said, "evaluation": judged} for family, said in verdicts.items()})


def _metrics(steps: int) -> list[dict[str, Any]]:
    """A fall as small models show it: steep, then slow, the held-out loss rising a little at the end."""
    lines: list[dict[str, Any]] = [{"step": 0, "seconds": 1.1, "tokens": 0, "train_loss": None, "valid_loss": 4.311}]
    for step in range(1, steps + 1):
        wobble = 0.16 * math.sin(step * 2.399) + 0.09 * math.sin(step * 5.1)
        train = 1.02 + 2.9 * step**-0.55 + wobble * (0.4 + 1 / step)
        valid = (
            2.02 + 2.05 * step**-0.5 + 0.0011 * max(0, step - 130) if step in (1, 2, 4, 8) or step % 16 == 0 else None
        )
        lines.append(
            {
                "step": step,
                "seconds": step * 0.35,
                "tokens": step * 205,
                "train_loss": train,
                "valid_loss": valid,
            }
        )
    return lines


def samples(n: int) -> list[Sample]:
    """`n` samples of 8 sessions, the texts in turn."""
    found = []
    for i in range(n):
        family, asked, agent, base, tuned = SAMPLES[i % len(SAMPLES)]
        session = f"5e55{i % 8:02d}a7c1"
        found.append(Sample(f"row{i:04d}c0ffee", session, session, family, asked, agent, base, tuned))
    return found


RESULTS = Results(
    name="relay-hand",
    base="smollm2:135m",
    model_file="/home/u/runs/relay-hand/model/relay-hand.Q8_0.gguf",
    model_sha256="5a0c41e7" * 8,
    engine="embedded llama.cpp (xllamacpp 2026.2.1)",
    scored=Sampled(23, 8, 23, 8, 400),
    generated=Sampled(20, 8, 23, 8, 20),
    max_new_tokens=160,
    loss={
        "base": estimate(3.412, 3.102, 3.747),
        "tuned": estimate(2.147, 1.893, 2.420),
        "base-tuned": estimate(1.265, 1.031, 1.502),
    },
    loss_by_family={
        "tool_decision": {"base": estimate(3.92, 3.4, 4.4, 9, 6), "tuned": estimate(1.21, 0.9, 1.6, 9, 6)},
        "code_review": {"base": estimate(3.21, 2.9, 3.6, 6, 4), "tuned": estimate(2.43, 2.1, 2.8, 6, 4)},
        "reply": {"base": estimate(3.18, 2.8, 3.6, 5, 4), "tuned": estimate(2.66, 2.2, 3.1, 5, 4)},
        "post": {"base": estimate(3.44, 3.0, 3.9, 3, 3), "tuned": estimate(2.71, 2.3, 3.2, 3, 3)},
    },
    resemblance={
        "style": {
            "agent": estimate(1.0, 1.0, 1.0),
            "base": estimate(0.41, 0.33, 0.50),
            "tuned": estimate(0.87, 0.80, 0.92),
        },
        "length": {
            "agent": estimate(48, 39, 58),
            "base": estimate(91, 72, 108),
            "tuned": estimate(44, 35, 54),
        },
    },
    competence={
        "tool_decision": {
            "right_tool": {
                "base": estimate(0.0, 0.0, 0.34, 9, 6),
                "tuned": estimate(0.67, 0.31, 0.91, 9, 6),
                "majority": estimate(0.44, 0.15, 0.77, 9, 6),
                "tuned-majority": estimate(0.22, -0.20, 0.58, 9, 6),
            },
            "exact_call": {
                "agent": estimate(1.0, 1.0, 1.0, 9, 6),
                "base": estimate(0.0, 0.0, 0.34, 9, 6),
                "tuned": estimate(0.44, 0.15, 0.77, 9, 6),
                "majority": estimate(0.11, 0.0, 0.48, 9, 6),
                "tuned-agent": estimate(-0.56, -0.85, -0.23, 9, 6),
            },
        },
        "code_review": {
            "verdict": {
                "base": estimate(0.33, 0.04, 0.78, 6, 4),
                "tuned": estimate(0.67, 0.22, 0.96, 6, 4),
                "majority": estimate(0.67, 0.22, 0.96, 6, 4),
                "tuned-majority": estimate(0.0, -0.45, 0.45, 6, 4),
            }
        },
        "reply": {
            "stance": {
                "base": estimate(0.20, 0.0, 0.72, 5, 4),
                "tuned": estimate(0.20, 0.0, 0.72, 5, 4),
                "majority": estimate(0.60, 0.15, 0.95, 5, 4),
                "tuned-majority": estimate(-0.40, -0.86, 0.21, 5, 4),
            }
        },
        "post": {},
    },
    signatures={
        "repetition": {
            "agent": estimate(0.02, 0.01, 0.04, 20, 8),
            "base": estimate(0.31, 0.19, 0.44, 20, 8),
            "tuned": estimate(0.09, 0.04, 0.16, 20, 8),
            "tuned-agent": estimate(0.07, 0.02, 0.14, 20, 8),
        },
        "loops": {
            "agent": estimate(0.0, 0.0, 0.14, 20, 8),
            "base": estimate(0.35, 0.17, 0.57, 20, 8),
            "tuned": estimate(0.05, 0.0, 0.23, 20, 8),
            "tuned-agent": estimate(0.05, -0.05, 0.22, 20, 8),
        },
        "made_up": {
            "agent": estimate(0.10, 0.02, 0.29, 20, 8),
            "base": estimate(0.25, 0.10, 0.47, 20, 8),
            "tuned": estimate(0.45, 0.24, 0.67, 20, 8),
            "tuned-agent": estimate(0.35, 0.12, 0.55, 20, 8),
        },
    },
    notes=(
        "Made-up details are looked for in the prompt alone: what the agent knew from elsewhere counts as made up.",
    ),
)


def verdict(family: str, word: str = "INSUFFICIENT", **fields: Any) -> dict[str, Any]:
    """An entry of verdict.json."""
    return {
        "family": family,
        "verdict": word,
        "reason": "",
        "sessions": 6,
        "rows": 9,
        "margin": 0.1,
        "alpha": 0.05,
        **fields,
    }


VERDICTS = {
    "tool_decision": verdict(
        "tool_decision",
        reason="9 held-out rows of 6 sessions cannot show that the model is within 10 points of the agent.",
        effective_rows=7.4,
        sessions_needed=31,
        checks=[
            {
                "name": "enough_evidence",
                "passed": False,
                "detail": "7.4 effective rows of the 29 that a margin of 0.10 takes",
            },
            {"name": "better_than_majority", "passed": False, "detail": "+0.22, lower bound −0.20"},
            {"name": "no_loops", "passed": True, "detail": "0 of 9"},
        ],
    ),
    "code_review": verdict(
        "code_review",
        sessions=4,
        rows=6,
        reason="6 held-out rows of 4 sessions; naming the commonest verdict does as well.",
        sessions_needed=43,
    ),
    "reply": verdict("reply", sessions=4, rows=5, reason="5 held-out rows of 4 sessions.", sessions_needed=46),
    "post": verdict("post", sessions=3, rows=3, reason="Nothing in a post can be judged right or wrong yet."),
}
