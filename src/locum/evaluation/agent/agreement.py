"""How often the agent, asked again, decides as it did: the ceiling of every share of right decisions."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from locum.evaluation.competence import decided, replayed
from locum.evaluation.results import Replay, Sample
from locum.evaluation.statistics import clustered_mean
from locum.types import Estimate

Part = Literal["whole", "starved"]


def agreement(samples: Sequence[Sample]) -> dict[str, dict[Part, Estimate]]:
    """Family -> `whole` (the prompt says all that the log holds) and `starved` -> share of its decisions that are again
    what they were."""
    found: dict[str, dict[Part, Estimate]] = {}
    again = replayed(decided(samples))
    for family in dict.fromkeys(sample.family for sample in again):
        mine = [sample for sample in again if sample.family == family]
        parts = found[family] = {}
        split: dict[Part, list[Sample]] = {
            "whole": [sample for sample in mine if not sample.starved],
            "starved": [sample for sample in mine if sample.starved],
        }
        for part, chosen in split.items():
            if chosen:
                right = [float(bool(sample.replay and sample.replay.right)) for sample in chosen]
                estimate = clustered_mean(right, [sample.lineage for sample in chosen], bounds=(0.0, 1.0))
                verified = sum(sample.tier == "verified" for sample in chosen)
                parts[part] = msgspec.structs.replace(estimate, verified=verified)
    return found


def sentences(replay: Replay) -> tuple[str, ...]:
    """What it comes to, one sentence a family, and what was not counted."""
    names: dict[Part, str] = {"whole": "prompts that say all that the log holds", "starved": "context-starved prompts"}
    said = []
    for family, parts in replay.agreement.items():
        shares = [f"in {found.estimate:.0%} of {found.rows} {names[part]}" for part, found in parts.items()]
        said.append(f"{family}: asked again, the agent decides as it did {' and '.join(shares)}.")
    if replay.starved:
        why = ", ".join(f"{reason.replace('_', ' ')} {rows}" for reason, rows in sorted(replay.starved.items()))
        said.append(f"Context-starved prompts, which say less than the agent had: {why}.")
    left = [(replay.refused, "were refused by the provider"), (replay.cut_off, "were cut off or filtered")]
    said += [f"{rows} of the agent's answers {what} and are not counted." for rows, what in left if rows]
    return tuple(said)
