"""`--score`: how much each row's own prompt helps its response, measured under the base, beside the rows."""

import time
from pathlib import Path
from typing import Any

from locum.cli.output import Output
from locum.progress import Progress

DEFAULT_ROWS = 200


def score(dataset: Path, base: str, rows: int, progress: Progress, seed: int = 0) -> dict[str, Any]:
    """Score at most `rows` rows of a dataset folder under `base` and write `scores.jsonl` into it.

    Returns:
        `base`, `rows` (in the dataset), `scored`, `alone` (no row of another lineage to compare with), `skipped`
        (reasons), `seconds`, `tokens_per_second`, `gain` (median nats per token, with quartiles) and `families`
        (the same by family).

    Raises:
        DatasetError: the folder is no dataset.
        BaseError: there is no such base, or it cannot be reached.
    """
    from locum.dataset.scores import by_family, record_base, spread_of, write_scores
    from locum.dataset.split import SPLITS
    from locum.dataset.store import read_rows
    from locum.training.base import resolve_base
    from locum.training.row_scores import score_rows

    resolved = resolve_base(base, progress)
    found = [row for split in SPLITS for row in read_rows(dataset, split)]
    started = time.monotonic()
    scored = score_rows(found, resolved, limit=rows, seed=seed, progress=progress)
    seconds = time.monotonic() - started
    write_scores(dataset, scored.scores)
    record_base(dataset, len(scored.scores), base)
    return {
        "base": base,
        "rows": scored.rows,
        "scored": len(scored.scores),
        "alone": scored.alone,
        "skipped": list(scored.skipped),
        "seconds": round(seconds, 1),
        "tokens_per_second": round(scored.tokens / max(seconds, 1e-9), 1),
        "gain": spread_of(scored.scores),
        "families": {family: spread_of(members) for family, members in by_family(scored.scores).items()},
    }


def show(voice: Output, scored: dict[str, Any]) -> None:
    """The scores, for a person."""
    voice.say(
        f"scored {scored['scored']:,} of {scored['rows']:,} rows under {scored['base']}: nats per token that a row's "
        "own prompt saves over another's",
        style="bold",
    )
    for family, spread in scored["families"].items():
        voice.say(
            f"    {spread['median']:+.2f}  (middle half {spread['low']:+.2f} to {spread['high']:+.2f}), "
            f"{spread['helped']:,} of {spread['rows']:,} rows above nought  {family}"
        )
    if scored["alone"]:
        voice.say(f"  not scored: {scored['alone']:,}, alone in its family: no other conversation to compare with")
    if scored["skipped"]:
        voice.say(f"  not scored: {len(scored['skipped']):,}; the first: {scored['skipped'][0]}")
