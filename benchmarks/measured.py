"""What the training benchmarks share: children that are measured, the machine's own matrix product, spreads."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from locum.dataset import extract, read_rows
from locum.sessions.scripted import write_sessions
from locum.training.base import Base
from locum.training.chat_template import Encoded, Renderer
from locum.types import Row

HELD_OUT_TOKENS = 4000
"""Of held-out rows that are looked at; as few as Locum's own looks take in whole, so that both arms see the same."""


def child(script: str, *arguments: str) -> Any:
    """What a script prints as JSON, in a fresh process: nothing that ran before is in its memory or its peak."""
    done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def peak_mb() -> float:
    """The most memory that this process ever held, in MB (VmHWM of /proc/self/status)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def spread(values: Sequence[float], digits: int = 2) -> dict[str, float] | None:
    """Median, least and most; None of nothing."""
    if not values:
        return None
    ends = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    return {name: round(value, digits) for name, value in ends.items()}


def product_rate(dtype: str, size: int = 2048, seconds: float = 1.5) -> float:
    """FLOP/s of one square matrix product in this precision, the best of as many as fit into `seconds`."""
    import torch

    left, right = (torch.randn(size, size).to(getattr(torch, dtype)) for _ in range(2))
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        started = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def step_flops(config: Any, rank: int, tokens: int, targets: int) -> float:
    """Floating-point operations in matrix products that training needs, all blocks adapted, none computed twice.

    A frozen layer of n weights takes 2n a token forward and 2n backward (its own weights need no gradient); an adapter
    of m weights 2m forward and 4m backward; the head 4 * vocabulary * width for each token that the loss covers.
    Scores of attention, norms and everything that is no product of a layer are left out, so the share of the bound is
    the lower for them.
    """
    width, inner, blocks = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    head = getattr(config, "head_dim", None) or width // config.num_attention_heads
    queries, keys = config.num_attention_heads * head, config.num_key_value_heads * head
    shapes = [(width, queries), (width, keys), (width, keys), (queries, width)]
    shapes += [(width, inner), (width, inner), (inner, width)]
    frozen = blocks * sum(a * b for a, b in shapes)
    adapted = blocks * rank * sum(a + b for a, b in shapes)
    return tokens * (4.0 * frozen + 6.0 * adapted) + targets * 4.0 * config.vocab_size * width


def generated(folder: Path, sessions: int = 60, seed: int = 0) -> Path:
    """A dataset folder of the demo's scripted agent."""
    write_sessions(folder / "sessions", sessions, seed)
    extract([folder / "sessions"], folder / "dataset")
    return folder / "dataset"


def choose(dataset: Path, base: Base, rows: int, longest: int) -> tuple[list[Row], list[Row]]:
    """The first `rows` training rows of at most `longest` tokens, and held-out rows of `HELD_OUT_TOKENS` in sum."""
    renderer = Renderer(base.folder)

    def fitting(split: str) -> list[tuple[Row, Encoded]]:
        encoded = [(row, renderer.encode(row)) for row in read_rows(dataset, split)]
        return [(row, tokens) for row, tokens in encoded if len(tokens.tokens) <= longest]

    held_out, size = [], 0
    for row, tokens in [*fitting("valid"), *fitting("test")]:
        size += len(tokens.tokens)
        if size <= HELD_OUT_TOKENS:
            held_out.append(row)
    return [row for row, _ in fitting("train")][:rows], held_out
