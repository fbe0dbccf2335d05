"""Tables of losses made up by hand: what the statistics of losses are tested on."""

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from locum.evaluation import nll

Losses = Callable[[str, str, str, int], float]
"""(arm, row, context, position) -> nats"""


def table(
    rows: Mapping[str, str],
    losses: Losses,
    classes: tuple[str, ...] = ("verdict", "other"),
    contexts: tuple[str, ...] = ("own", "other_1", "other_2", "other_3", "other_4", "none"),
    family: str = "reply",
    slots: Mapping[tuple[str, str], Mapping[str, Any]] | None = None,
) -> pl.DataFrame:
    """A table of base and tuned on rows (id -> lineage) whose responses have one token a class.

    `slots` holds what stands at the first token, by (arm, row).
    """
    lines = []
    for arm in ("base", "tuned"):
        for row, lineage in rows.items():
            for context in contexts:
                for position, class_ in enumerate(classes):
                    line: dict[str, Any] = dict.fromkeys(nll.SCHEMA)
                    line |= {"row": row, "session": lineage, "lineage": lineage, "family": family, "tier": "recorded"}
                    line |= {"arm": arm, "model": arm, "context": context, "position": position, "token": 1}
                    line |= {"start": position, "end": position + 1, "class": class_, "word_initial": True}
                    line |= {"bucket": "1-5", "rank": 1, "loss": losses(arm, row, context, position)}
                    if slots and position == 0 and context == "own":
                        line |= slots[arm, row]
                    lines.append(line)
    return pl.DataFrame(lines, schema=nll.SCHEMA)
