"""What the run cost: time, tokens, memory, bytes, each only where the run's own files say it."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from locum.evaluation.results import Results
from locum.report import figures
from locum.report.inputs import Inputs, Step

_GENERATING_ARMS = ("base", "tuned", "base_icl")
"""Whose answers the seconds of generating went into."""
_KEPT = ("dataset", "adapter", "checkpoints", "fused", "model", "lora", "evaluation", "anatomy")


class Item(msgspec.Struct, frozen=True):
    """One line of the bill."""

    what: str
    much: str
    note: str = ""


class Cost(msgspec.Struct, frozen=True):
    """The section."""

    items: tuple[Item, ...]
    sentence: str


def cost(inputs: Inputs) -> Cost | None:
    """The bill of a run; None where nothing of it is known."""
    items = (
        *_training(inputs.curve),
        *(_evaluation(inputs.results, len(inputs.samples)) if inputs.results else ()),
        *_whole(inputs.manifest),
        *_bytes(inputs.run),
    )
    if not items:
        return None
    return Cost(
        items=items,
        sentence=(
            "All of it was computed on the machine that made this run, which no call of the agent is charged for. What "
            "the agent's own calls cost is not kept in a run."
        ),
    )


def _training(curve: tuple[Step, ...]) -> Iterator[Item]:
    if curve and curve[-1].tokens and curve[-1].seconds > 0:
        last = curve[-1]
        speed = figures.number(last.tokens / last.seconds, 0)
        yield Item("training", figures.duration(last.seconds), f"{last.tokens:,} tokens, {speed} a second")


def _evaluation(results: Results, answered: int) -> Iterator[Item]:
    forwards = sum(results.token_forwards.values())
    if "score" in results.seconds:
        note = f"{forwards:,} tokens through {figures.count(len(results.token_forwards), 'model')}" if forwards else ""
        yield Item("scoring held-out rows", figures.duration(results.seconds["score"]), note)
    if "generate" in results.seconds and answered:
        answers = answered * len(_GENERATING_ARMS)
        each = results.seconds["generate"] / answers
        yield Item(
            "answering held-out prompts",
            figures.duration(results.seconds["generate"]),
            f"up to {answers:,} answers of {figures.listing(_GENERATING_ARMS)}, {figures.duration(each)} each",
        )
    if "probe" in results.seconds:
        yield Item("probing for leaks and habits", figures.duration(results.seconds["probe"]))


def _whole(manifest: dict[str, object]) -> Iterator[Item]:
    seconds = manifest.get("seconds")
    if isinstance(seconds, dict):
        known = [float(value) for value in seconds.values() if isinstance(value, int | float)]
        if known:
            yield Item("all stages", figures.duration(sum(known)))
    memory = manifest.get("memory")
    if isinstance(memory, int) and memory > 0:
        yield Item("main memory at its peak", figures.size(memory), "of the largest process of the run")


def _bytes(run: Path) -> Iterator[Item]:
    for name in _KEPT:
        folder = run / name
        if folder.is_dir():
            yield Item(f"{name}/", figures.size(_size(folder)), "on disk")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
