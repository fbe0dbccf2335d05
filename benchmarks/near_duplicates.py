"""The study behind docs/decisions/0002-near-duplicates.md: held-out rows that are like an earlier row, by what `like`
means, and the speed of signatures and clusters.

.venv/bin/python benchmarks/near_duplicates.py SOURCE...
"""

import random
import string
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from locum import home
from locum.dataset import cache, near_duplicates
from locum.dataset.build import Options, build_session
from locum.dataset.intake import stored_sessions, take_in
from locum.dataset.near_duplicates import THRESHOLD, clusters, question_and_answer, signatures
from locum.dataset.split import SPLITS, assign
from locum.dataset.store import decode_row
from locum.progress import silent
from locum.types import Message, Row, Session

Bytes = NDArray[np.uint8]
_RATE_ROWS = 2000


def rows_of(source: Path) -> list[Row]:
    """The rows of a source in order, equal ones once, near-duplicates left in."""
    salt = home.salt()
    rows: dict[bytes, Row] = {}
    with cache.opened(salt) as readings:
        intake = take_in([source], readings, salt, silent)
        for placed, frame in stored_sessions(intake, readings):
            session = msgspec.json.decode(frame.unpack(), type=Session)
            session = msgspec.structs.replace(session, id=placed.id, lineage=placed.lineage)
            built = build_session(session, Options())
            made = (turn.row for turn in built.turns if turn.row is not None)
            for row, line in zip(made, built.lines, strict=True):
                rows.setdefault(row.content, decode_row(line))
    return list(rows.values())


def minima(texts: list[tuple[str, str]]) -> Bytes:
    """Signatures as an array of shape (rows, part, 256)."""
    made = b"".join(signature for (signature,) in near_duplicates._signatures(texts, near_duplicates._FIRST))
    return np.frombuffer(made, np.uint8).reshape(len(texts), 64, 2, 4).swapaxes(1, 2).reshape(len(texts), 2, 256)


def nearest(parts: Bytes, at: int, earlier: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Similarities of both parts of a row to every earlier row's, of shape (earlier, part)."""
    agree = np.asarray((parts[at] == parts[earlier]).mean(axis=2), np.float64)
    return (agree - 1 / 256) / (1 - 1 / 256)


def study(name: str, rows: list[Row]) -> None:
    """Print one line of the table."""
    split_of = assign(Counter(row.lineage for row in rows))
    splits = np.array([SPLITS.index(split_of[row.lineage]) for row in rows])
    whole = minima([question_and_answer(row) for row in rows])
    last = minima([question_and_answer(row, least=0) for row in rows])
    one = minima([(" ".join(question_and_answer(row, least=0)), "") for row in rows])
    counts: Counter[str] = Counter()
    held_out = np.flatnonzero(splits).tolist()
    for at in held_out:
        earlier = np.asarray(splits < splits[at])
        question, answer = nearest(last, at, earlier).T
        counts["answer"] += bool((answer >= THRESHOLD).any())
        counts["question"] += bool((question >= THRESHOLD).any())
        counts["one text"] += bool((nearest(one, at, earlier)[:, 0] >= THRESHOLD).any())
        counts["both, short questions too"] += bool(((question >= THRESHOLD) & (answer >= THRESHOLD)).any())
        both = nearest(whole, at, earlier).min(axis=1)
        for least in (0.7, 0.8, 0.9):
            counts[f"both {least}"] += bool((both >= least).any())
    names = clusters(b"".join(signatures(rows)))
    sizes = Counter(names)
    lineages: dict[int, set[str]] = {}
    for row, first in zip(rows, names, strict=True):
        lineages.setdefault(first, set()).add(row.lineage)
    across = sum(len(members) > 1 for members in lineages.values())
    told = ", ".join(f"{definition}: {count}" for definition, count in counts.items())
    print(f"{name}: {len(rows)} rows, {len(held_out)} held out; {told}; ", end="")
    print(f"{sum(size > 1 for size in sizes.values())} clusters, {across} of several lineages", flush=True)


def speed() -> None:
    """Print rows a second, for rows of about 3,000 characters."""
    rng = random.Random(1)
    words = ["".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 9))) for _ in range(5000)]
    rows = [
        Row(
            id="",
            session="",
            lineage="",
            turn=0,
            family="",
            messages=(
                Message("user", " ".join(rng.choices(words, k=380))),
                Message("assistant", " ".join(rng.choices(words, k=80))),
            ),
        )
        for _ in range(_RATE_ROWS)
    ]
    chars = sum(len(message.content) for row in rows for message in row.messages) // len(rows)
    start = time.perf_counter()
    signed = signatures(rows)
    print(f"signatures of rows of {chars} characters: {len(rows) / (time.perf_counter() - start):,.0f} rows/s")
    many = rng.randbytes(len(signed[0]) * 100_000)
    start = time.perf_counter()
    clusters(many)
    print(f"clusters of 100,000 signatures: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    speed()
    for argument in sys.argv[1:]:
        study(Path(argument).name, rows_of(Path(argument)))
