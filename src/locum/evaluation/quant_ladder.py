"""The ladder of types: the smallest model file that is not worse than full precision, found by climbing.

Rungs are tried from the smallest file upward, on held-out rows that no evaluation uses (the `valid` split): the choice
must not spend what the verdict is drawn from. The first rung that holds is taken, and those above are not measured.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from locum.errors import TrainingError
from locum.evaluation.decisions import decides, same_decision
from locum.evaluation.encode import encode
from locum.evaluation.quant_results import Ladder, Rung
from locum.evaluation.sample import choose
from locum.evaluation.statistics import paired_difference
from locum.progress import Progress, silent
from locum.runtime.llamacpp import LlamaCpp
from locum.runtime.protocol import Sampling
from locum.runtime.scorer import Scorer
from locum.training.chat_template import Encoded, Renderer, parse_response
from locum.types import Estimate, Message, Row

RUNGS = ("Q4_0", "Q4_K_M", "Q5_0", "Q5_K_M", "Q6_K", "Q8_0")
"""The types that are tried, if their files are smaller than those of a higher rung."""
FULL = "F16"
"""The type that is taken where no rung holds; its answers are what decisions are measured against."""
LOSS_MARGIN = 0.02
"""Nats per token that held-out loss may rise by: the upper end of the 95 % interval, over sessions, must stay below."""
DECISION_MARGIN = 0.02
"""Share of decisions that may be lost, net of those won, on the rows that are asked."""
_LOSS_ROWS, _ASKED_ROWS, _LONGEST = 64, 16, 200


def climb(
    folder: Path,
    renderer: Renderer,
    rows: Sequence[Row],
    write: Callable[[Path, str], None],
    scratch: Path,
    progress: Progress = silent,
) -> Ladder:
    """Find the smallest file that is not worse than full precision.

    Args:
        folder: the fused model.
        renderer: the base's renderer.
        rows: held-out rows to measure on.
        write: writes a model file of a type.
        scratch: an existing folder for the files that are tried; each is removed once it is measured.
        progress: told about every rung.

    Raises:
        TrainingError: no row can be measured on.
    """
    encoded, _ = encode(choose(rows, _LOSS_ROWS, 0), renderer)
    measured = [row for row in rows if row.id in encoded]
    if not measured:
        raise TrainingError("no held-out row (split valid) to climb the ladder on; name a --quant, or add sessions")
    asked = choose([row for row in measured if decides(row.structure)], _ASKED_ROWS, 0)
    lineages = [row.lineage for row in measured]

    def losses(model: Path | None) -> list[float]:
        with Scorer(model, folder) as scorer:
            return [float(found.mean()) for found in scorer.score([encoded[row.id] for row in measured])]

    full = scratch / f"{FULL}.gguf"
    write(full, FULL)
    expected, right = losses(None), _right(full, asked, encoded)
    full.unlink()
    rungs: list[Rung] = []
    for done, kind in enumerate(RUNGS):
        progress("ladder", done, len(RUNGS), kind)
        file = scratch / f"{kind}.gguf"
        write(file, kind)
        size = file.stat().st_size
        loss = _rise(losses(file), expected, lineages)
        lost = int(np.sum(right)) - int(np.sum(_right(file, asked, encoded)))
        file.unlink()
        holds = loss.high <= LOSS_MARGIN and lost <= DECISION_MARGIN * len(asked)
        rungs.append(Rung(kind, size, loss, lost, len(asked), holds))
        if holds:
            break
    progress("ladder", len(RUNGS), len(RUNGS))
    chosen = rungs[-1].quantization if rungs[-1].holds else FULL
    return Ladder(chosen, tuple(rungs), LOSS_MARGIN, DECISION_MARGIN)


def _rise(losses: list[float], expected: list[float], lineages: list[str]) -> Estimate:
    """How much more is lost than expected; a file that predicts the very same has no spread to make an interval of."""
    if losses == expected:
        return Estimate(0.0, 0.0, 0.0, rows=len(losses), sessions=len(set(lineages)))
    return paired_difference(losses, expected, lineages)


def _right(model: Path, rows: Sequence[Row], encoded: dict[str, Encoded]) -> list[bool]:
    """Which rows' decisions a model file gets right, greedily."""
    if not rows:
        return []
    longest = max(encoded[row.id].response_start for row in rows)
    found = []
    with LlamaCpp(model, context=longest + _LONGEST + 8) as engine:
        for row in rows:
            prompt = encoded[row.id]
            limit = min(_LONGEST, 2 * (len(prompt.tokens) - prompt.response_start) + 32)
            text = engine.complete(prompt.tokens[: prompt.response_start], Sampling(max_tokens=limit)).text
            said, calls, _ = parse_response(text)
            answer = Message(role="assistant", content=said, tool_calls=calls)
            found.append(bool(same_decision(row.structure, answer, row.response, row.tools)))
    return found
