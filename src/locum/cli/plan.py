"""`locum plan DATASET`: what could be shown at all with these rows, and what training would cost."""

from pathlib import Path
from typing import Any

from locum.cli import options as o
from locum.cli.output import Debug, Json, Output, Quiet, count


def plan(
    dataset: o.DatasetFolder,
    base: o.BaseName = o.DEFAULT_BASE,
    epochs: o.Epochs = o.DEFAULT_EPOCHS,
    max_steps: o.MaxSteps = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Before training: sessions per family against what the gate needs, and the cost in minutes."""
    with Output(json=json, quiet=quiet, debug=debug) as voice:
        from locum.cli import stages

        found = _plan(stages.require_dataset(dataset), o.settled(base), voice, epochs, max_steps)
        for family in found["families"]:
            _family(voice, family)
        voice.say(f"  training: {found['steps']:,} steps, {found['tokens']:,} tokens, {_cost(found)}")
        if found["accuracy"]:
            past = found["accuracy"]
            voice.say(
                f"  of {past['runs']} trainings that were planned here, the middle one took {past['ratio']:.2f} times"
                " as long as said"
            )
        voice.result(found)


def _plan(dataset: Path, base: str, voice: Output, epochs: int, max_steps: int | None) -> dict[str, Any]:
    """What these rows could show, and what training on them would cost."""
    import msgspec

    from locum.cli import stages
    from locum.dataset.store import read_rows
    from locum.training import timings
    from locum.training.backend import TrainOptions
    from locum.training.base import resolve_base
    from locum.training.loop import planned
    from locum.trust.plan import plan_families

    options = TrainOptions(epochs=epochs, max_steps=max_steps)
    train_rows, test_rows = read_rows(dataset, "train"), read_rows(dataset, "test")
    steps, tokens = planned(train_rows, resolve_base(base, voice.progress), options)
    speed, past = timings.speed(base), timings.accuracy()
    seconds = tokens / speed.tokens_per_second if speed else None
    timings.promise(stages.training_key(train_rows, base, options), timings.Promise(tokens, seconds))
    return {
        "families": msgspec.to_builtins(plan_families(train_rows, test_rows, stages.test_share(dataset))),
        "steps": steps,
        "tokens": tokens,
        "minutes": None if seconds is None else seconds / 60,
        "timed": speed.runs if speed else 0,
        "accuracy": msgspec.to_builtins(past),
    }


def _family(voice: Output, family: dict[str, Any]) -> None:
    voice.say(
        f"{family['family']}: {count(family['train_rows'], 'training row')}; {family['held_out_rows']:,} held out,"
        f" of {count(family['held_out_sessions'], 'session')}",
        style="bold",
    )
    if family["judged"]:
        voice.say(
            f"  the gate would count {family['judged']:,} of the rows held out,"
            f" from {count(family['judged_sessions'], 'session')}; it needs {family['session_floor']} sessions"
        )
        voice.say(
            "  rows of one session are alike, so these are as much evidence as"
            f" {family['worth']:.1f} unrelated rows; it needs {family['floor']}"
        )
    record = f" ({family['recordings_needed']} more recorded)" if family["recordings_needed"] else ""
    voice.say(f"  {family['reason']}{record}")


def _cost(found: dict[str, Any]) -> str:
    if found["minutes"] is None:
        return "time not known: no training of this base was timed on this computer yet"
    minutes = found["minutes"]
    long = f"{minutes / 60:.1f} hours" if minutes >= 90 else f"{minutes:.1f} minutes"
    return f"about {long}, by {count(found['timed'], 'earlier training')} of this base here"
