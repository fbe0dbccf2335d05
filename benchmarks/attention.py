"""Attention of one block by matrix products of some queries at a time (`locum.training.attention`), beside SDPA.

Forward and backward of SmolLM2-135M's heads, in the precision that training takes here. The kernels take turns, and
what is compared is processor time, since the machine may have other work.

    .venv/bin/python benchmarks/attention.py
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch.nn import functional

from locum.training import attention
from locum.training.device import best_device

HEADS, GROUPS, SIZE = 9, 3, 64
LENGTHS = (64, 190, 256, 512, 1024, 2048, 4096)
ROUNDS = 5


def milliseconds(kernel: Callable[[], torch.Tensor], repeat: int) -> float:
    """Mean processor time of one call and its backward pass."""
    started = time.process_time()
    for _ in range(repeat):
        kernel().sum().backward()  # type: ignore[no-untyped-call]
    return (time.process_time() - started) / repeat * 1000


def main() -> None:
    """Print both kernels' medians and the median of their ratios, length by length."""
    dtype = best_device().torch_dtype
    for length in LENGTHS:
        query = torch.randn(1, HEADS, length, SIZE, dtype=dtype, requires_grad=True)
        key, value = (torch.randn(1, GROUPS, length, SIZE, dtype=dtype, requires_grad=True) for _ in range(2))

        def products(q: torch.Tensor = query, k: torch.Tensor = key, v: torch.Tensor = value) -> torch.Tensor:
            return attention.attend(torch.nn.Identity(), q, k, v, None)[0]

        def sdpa(q: torch.Tensor = query, k: torch.Tensor = key, v: torch.Tensor = value) -> torch.Tensor:
            return functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)

        taken: dict[str, list[float]] = {"products": [], "sdpa": []}
        for turn in range(ROUNDS + 1):
            for name, kernel in (("products", products), ("sdpa", sdpa)):
                spent = milliseconds(kernel, repeat=max(1, 1024 // length))
                if turn:
                    taken[name].append(spent)
        ratios = [sdpa / products for sdpa, products in zip(taken["sdpa"], taken["products"], strict=True)]
        print(
            f"{length:5} tokens: products {statistics.median(taken['products']):7.2f} ms, "
            f"SDPA {statistics.median(taken['sdpa']):7.2f} ms, SDPA / products {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
