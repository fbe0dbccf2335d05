"""Where matrix products beat SDPA for one block of attention: behind `locum.training.attention.SHORT`.

.venv/bin/python benchmarks/attention.py
"""

import time
from collections.abc import Callable

import torch

from locum.training import attention
from locum.training.device import best_device

HEADS, GROUPS, SIZE = 9, 3, 64
"""SmolLM2-135M's."""
LENGTHS = (128, 190, 256, 384, 512, 1024, 2048)


def milliseconds(work: Callable[[], None], repeat: int = 20) -> float:
    """Mean time of one call, after one that warms up."""
    work()
    started = time.perf_counter()
    for _ in range(repeat):
        work()
    return (time.perf_counter() - started) / repeat * 1000


def main() -> None:
    """Print forward and backward of both kernels, length by length."""
    dtype = best_device().torch_dtype
    for length in LENGTHS:
        query = torch.randn(1, HEADS, length, SIZE, dtype=dtype, requires_grad=True)
        key, value = (torch.randn(1, GROUPS, length, SIZE, dtype=dtype, requires_grad=True) for _ in range(2))
        taken = {}
        for name, short in (("products", length), ("sdpa", 0)):
            attention.SHORT = short

            def step(q: torch.Tensor = query, k: torch.Tensor = key, v: torch.Tensor = value) -> None:
                out, _ = attention.attend(torch.nn.Identity(), q, k, v, None)
                out.sum().backward()

            taken[name] = milliseconds(step)
        print(f"{length:5} tokens: products {taken['products']:7.1f} ms, SDPA {taken['sdpa']:7.1f} ms", flush=True)


if __name__ == "__main__":
    main()
