"""What a user has to know of a dataset before trusting the rest of it, one sentence each."""

from collections.abc import Mapping

from locum.dataset.build import Options
from locum.dataset.intake import Intake
from locum.dataset.split import SHARES, SPLITS
from locum.types import Split


def notes(splits: Mapping[str, int], intake: Intake, options: Options, overlapping: int) -> tuple[str, ...]:
    """The sentences of `Stats.notes`.

    Args:
        splits: split -> rows.
        intake: what was read.
        options: as the user chose them.
        overlapping: lineages that are trained on and go on after the first held-out one began.
    """
    found = []
    if options.context == "absorb":
        found.append("Standing documents are not in the prompts: what is trained on these rows is served without them.")
    if not splits["test"]:
        found.append(f"{_few(splits)}: there is nothing to test on.")
    elif not splits["valid"]:
        found.append(f"{_few(splits)}: there is nothing to validate on while training.")
    if intake.ordered_by == "appearance":
        found.append("No log has times: the split goes by order of appearance, not forward in time.")
    elif intake.untimed:
        found.append(f"{intake.untimed} of the conversations have no times; they were put before all others.")
    if overlapping:
        found.append(
            f"{overlapping} of the conversations that are trained on went on after the first held-out one began: they"
            " are ordered by when they began, and never divided."
        )
    if splits["valid"] and splits["test"] and (far := _far(splits)):
        found.append(far)
    return tuple(found)


def _far(splits: Mapping[str, int]) -> str:
    """That a held-out split is less than half or more than twice of what it should be; empty where none is."""
    rows = sum(splits.values())
    held_out: tuple[Split, ...] = ("valid", "test")
    if all(SHARES[split] / 2 <= splits[split] / rows <= 2 * SHARES[split] for split in held_out):
        return ""
    said = ", ".join(f"{split} {splits[split] / rows:.0%} (of {SHARES[split]:.0%})" for split in held_out)
    return f"Conversations are never divided, and few or large ones make uneven splits: {said}."


def _few(splits: Mapping[str, int]) -> str:
    """Why a split is empty: there were too few conversations, or near-duplicates emptied it."""
    rows = ", ".join(f"{split} {splits[split]:,}" for split in SPLITS)
    return f"Too few conversations that differ (rows: {rows})"
