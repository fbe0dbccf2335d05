"""The loss costs no memory for logits of a large vocabulary, and its gradient is cross-entropy's."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from locum.training import loss


@given(
    positions=st.integers(1, 9),
    cap=st.sampled_from([None, 0.7, 5.0]),
    bias=st.booleans(),
    logits_at_once=st.sampled_from([1, 23, 60, 10_000]),
)
@settings(deadline=None, max_examples=40)
def test_losses_and_gradients_are_cross_entropys(
    positions: int, cap: float | None, bias: bool, logits_at_once: int
) -> None:
    """Whatever is made of the losses afterwards: every position's own weight reaches its gradient."""
    generator = torch.Generator().manual_seed(positions)
    weight = torch.randn(23, 6, generator=generator, dtype=torch.float64).float()
    offset = torch.randn(23, generator=generator) if bias else None
    targets = torch.randint(0, 23, (positions,), generator=generator)
    weights = torch.rand(positions, generator=generator)
    hidden = torch.randn(positions, 6, generator=generator)
    ours, theirs = hidden.clone().requires_grad_(), hidden.clone().requires_grad_()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss, "_LOGITS", logits_at_once)
        found = loss._TokenLosses.apply(ours, weight, offset, targets, cap)  # type: ignore[no-untyped-call]
    logits = functional.linear(theirs, weight, offset)
    logits = torch.tanh(logits / cap) * cap if cap else logits
    expected = functional.cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-5)


_SPIKE = """
import resource, torch
from locum.training import loss
torch.set_num_threads(1)
hidden = torch.randn(1500, 32, dtype=torch.bfloat16, requires_grad=True)
weight = torch.randn(256_000, 32, dtype=torch.bfloat16)
targets = torch.randint(0, 256_000, (1500,))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
loss._TokenLosses.apply(hidden, weight, None, targets, None).mean().backward()
assert hidden.grad.isfinite().all()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted in KiB on Linux alone")
def test_a_vocabulary_of_256000_words_costs_no_spike() -> None:
    """1,500 targets would have 1,465 MiB of logits in float32, and as much again for their gradient."""
    done = subprocess.run([sys.executable, "-c", _SPIKE], capture_output=True, text=True, check=True, timeout=300)
    assert int(done.stdout) < 400
