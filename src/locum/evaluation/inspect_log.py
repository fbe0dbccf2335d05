"""An evaluation as a log of Inspect (https://inspect.aisi.org.uk/eval-logs.html), the harness of the UK AI Security
Institute: one sample a held-out row, the tuned model's answer as the output, every arm's in the metadata.

The JSON form of `EvalLog`, version 2, written without the library; a test reads it back with the library itself.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from locum import __version__, files
from locum.evaluation.results import Answer, Results, Sample
from locum.types import Estimate, Message, ToolCall

SCORERS = ("right", "made_up", "loop")
"""Per sample: the same decision as the agent's (`C`, `I`; no score where the agent's response holds none), and two
signatures (1 or 0)."""


def export_inspect(run: Path, out: Path) -> int:
    """Write a run's evaluation as an Inspect log.

    Args:
        run: the run folder, evaluated.
        out: the file to write; Inspect reads it if it ends in `.json`.

    Returns:
        How many samples it holds.

    Raises:
        FileNotFoundError: the run is not evaluated.
    """
    folder = run / "evaluation"
    results = files.read_json(folder / "results.json", Results)
    samples = files.read_jsonl(folder / "samples.jsonl", Sample)
    created = datetime.fromtimestamp((folder / "results.json").stat().st_mtime, UTC).isoformat(timespec="seconds")
    files.write_json(out, inspect_log(results, samples, created))
    return len(samples)


def inspect_log(results: Results, samples: Sequence[Sample], created: str) -> dict[str, Any]:
    """The log as JSON values.

    Args:
        results: of the evaluation.
        samples: of the evaluation.
        created: when it was made, ISO 8601 with its zone.
    """
    model = f"locum/{results.name}"
    identity = files.digest([results.name, results.model_sha256, results.digests])[:22]
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": identity,
            "run_id": identity,
            "task_id": files.digest(["locum", results.digests.get("dataset/test.jsonl", "")])[:22],
            "created": created,
            "task": "locum_held_out",
            "task_version": results.schema,
            "task_args": {
                "max_new_tokens": results.max_new_tokens,
                "rows": results.generated.cap,
                "at_once": results.at_once,
            },
            "dataset": {
                "name": "held-out rows",
                "samples": len(samples),
                "sample_ids": [sample.row for sample in samples],
                "shuffled": False,
            },
            "model": model,
            "model_args": {"file": results.model_file, "sha256": results.model_sha256, "engine": results.engine},
            "config": {},
            "packages": {"locum": __version__},
            "metadata": {"base": results.base, "digests": results.digests},
            "scorers": [{"name": name} for name in SCORERS],
        },
        "plan": {"name": "generate", "steps": [{"solver": "generate", "params": {}}], "config": {"temperature": 0.0}},
        "results": {
            "total_samples": len(samples),
            "completed_samples": len(samples),
            "scores": _scores(results, samples),
        },
        "stats": {"started_at": created, "completed_at": created, "model_usage": {}},
        "samples": [_sample(sample, model) for sample in samples],
    }


def _sample(sample: Sample, model: str) -> dict[str, Any]:
    agent, tuned = _message(sample.agent), _message(sample.tuned, model)
    return {
        "id": sample.row,
        "epoch": 1,
        "input": [_wire(message) for message in sample.prompt] or sample.asked,
        "target": msgspec.json.encode(agent["tool_calls"]).decode() if sample.agent.tool_calls else sample.agent.text,
        "messages": [*(_wire(message) for message in sample.prompt), tuned],
        "output": {
            "model": model,
            "choices": [{"message": tuned, "stop_reason": _stop_reason(sample.tuned)}],
            "completion": sample.tuned.text,
        },
        "scores": _sample_scores(sample),
        "metadata": {
            "session": sample.session,
            "lineage": sample.lineage,
            "family": sample.family,
            "tier": sample.tier,
            "arms": {
                "agent": msgspec.to_builtins(sample.agent),
                "base": msgspec.to_builtins(sample.base),
                **msgspec.to_builtins(sample.others),
            },
        },
    }


def _sample_scores(sample: Sample) -> dict[str, Any]:
    tuned = sample.tuned
    scores: dict[str, Any] = {
        "made_up": {"value": int(bool(tuned.made_up)), "metadata": {"spans": [list(span) for span in tuned.made_up]}},
        "loop": {"value": int(tuned.loop)},
    }
    if sample.agent.decision is not None:
        answer = tuned.decision or ""
        explanation = f"the agent decided {sample.agent.decision}"
        scores["right"] = {"value": "C" if tuned.right else "I", "answer": answer, "explanation": explanation}
    return scores


def _scores(results: Results, samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Locum's own figures, each with its interval over session lineages."""
    decided = sum(sample.agent.decision is not None for sample in samples)
    named = {f"right/{family}": measures for family, measures in results.competence.items()}
    found = [
        _score(
            name,
            "right",
            decided,
            {f"{measure}/{arm}": e for measure, arms in measures.items() for arm, e in arms.items()},
        )
        for name, measures in named.items()
    ]
    found += [_score(name, name, len(samples), arms) for name, arms in results.signatures.items()]
    found += [_score(name, name, len(samples), arms) for name, arms in results.resemblance.items()]
    return found


def _score(name: str, scorer: str, scored: int, metrics: dict[str, Estimate]) -> dict[str, Any]:
    return {
        "name": name,
        "scorer": scorer,
        "scored_samples": scored,
        "metrics": {
            arm: {"name": arm, "value": estimate.estimate, "metadata": msgspec.to_builtins(estimate)}
            for arm, estimate in metrics.items()
        },
    }


def _message(answer: Answer, model: str | None = None) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": answer.text,
        "source": "generate",
        "tool_calls": [_call(call) for call in answer.tool_calls] or None,
    }
    return {**message, "model": model} if model else message


def _wire(message: Message) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        wire["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.role == "tool":
        wire |= {"tool_call_id": message.tool_call_id, "function": message.tool_name}
    return wire


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "function": call.name, "arguments": call.arguments, "type": "function"}


def _stop_reason(answer: Answer) -> str:
    if answer.finish == "length":
        return "max_tokens"
    return "tool_calls" if answer.tool_calls else "stop"
