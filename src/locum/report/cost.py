"""What the run cost: time, tokens, memory, bytes, each only where the run's own files say it."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from math import floor, log10
from pathlib import Path

import msgspec

from locum.dataset.stats import Calls
from locum.evaluation.results import Results
from locum.report import figures
from locum.report.inputs import Inputs, Step
from locum.report.voices import visible
from locum.settings import Price

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


def cost(inputs: Inputs, prices: Mapping[str, Price]) -> Cost | None:
    """The bill of a run; None where nothing of it is known.

    Args:
        inputs: what the run holds.
        prices: glob over a model's name -> what the agent's provider charges for it.
    """
    usage = inputs.stats.usage if inputs.stats else {}
    items = (
        *_training(inputs.curve),
        *(_evaluation(inputs.results, len(inputs.samples)) if inputs.results else ()),
        *_whole(inputs.manifest),
        *_bytes(inputs.run),
    )
    if not items and not usage:
        return None
    known = (
        "What a call of the agent took, by its logs, stands last."
        if usage
        else "The agent's logs count no tokens, so what its own calls cost is not known."
    )
    return Cost(
        items=(*items, *(_call(model, calls, prices) for model, calls in usage.items())),
        sentence=f"It was computed on the machine that made this run, without a call of the agent. {known}",
    )


def _call(model: str, calls: Calls, prices: Mapping[str, Price]) -> Item:
    """One call of the agent, on average: what it cost, and the tokens that it took."""
    name = model.partition("/")[2]
    price = next((price for glob, price in prices.items() if fnmatchcase(name, glob)), None)
    if price is not None:
        cached = price.input if price.cached is None else price.cached
        paid = (calls.input - calls.cached) * price.input + calls.cached * cached + calls.output * price.output
        much, said = _dollars(paid / 1e6 / calls.calls), "at the price in locum.toml"
    elif calls.priced:
        much = _dollars(calls.cost / calls.priced)
        said = f"as the log says of {figures.count(calls.priced, 'call')}"
    else:
        much, said = "price not known", "no log states one, and [prices] in locum.toml names none"
    given, cached_, answered = (round(n / calls.calls) for n in (calls.input, calls.cached, calls.output))
    took = f"{given:,} tokens in ({cached_:,} of them from its cache), {answered:,} out"
    return Item(f"a call of {visible(model)}", much, f"{said}; {took}, over {figures.count(calls.calls, 'call')}")


def _dollars(much: float) -> str:
    """US dollars with two digits that count."""
    return f"${much:,.2f}" if much >= 1 else f"${figures.number(much, 2 if much <= 0 else 1 - floor(log10(much)))}"


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
