"""Do other adapters, beginnings or optimisers earn their place? Held-out loss by step, arm by arm, on several corpora.

.venv/bin/python benchmarks/adapter_variants.py DATASET... [--arm NAME]... [--tokens 8000] [--json]

Rows, packs, objective, schedule and looks are those of training (`training_defaults.choose`, `locum.training`). The
adapters are PEFT's own, the optimisers torch's: none of them is in Locum, so their seconds say nothing here. An arm
that is no better after the same steps can be no better after the same time, since none costs less a step than plain
LoRA with AdamW. Each arm is a process of its own.

- lora: as Locum trains, at its peak rate; what the others are held against.
- lora+: B at four times A's rate (arXiv:2402.12354).
- rslora: scaled by alpha / sqrt(rank) (arXiv:2312.03732).
- dora: direction and magnitude apart (arXiv:2402.09353).
- pissa, olora: A and B begin as the base weight's principal directions (arXiv:2404.02948) or its orthonormal ones
  (arXiv:2406.01775), which the base then lacks; also at a quarter of the rate, as B does not begin as zero.
- muon: orthogonalised momentum (torch.optim.Muon) in place of AdamW, with its update scaled as AdamW's would be.
- adamw 0.95: second moments over fewer steps (beta 2 of 0.95 in place of 0.999).
"""

import argparse
import json
import statistics
from collections.abc import Callable, Iterable
from typing import Any

import measured
import torch
from peft import LoraConfig, inject_adapter_in_model
from training_defaults import arguments, choose

from locum.training import schedule
from locum.training.backend import TrainOptions
from locum.training.base import resolve_base
from locum.training.chat_template import Renderer
from locum.training.device import best_device
from locum.training.load import load_model
from locum.training.lora import TARGETS
from locum.training.loss import target_losses
from locum.training.packing import TokenSequence, chain, pack

OPTIONS = TrainOptions()
Named = list[tuple[str, torch.nn.Parameter]]


def adamw(named: Named, rate: float) -> torch.optim.Optimizer:
    """Locum's."""
    return torch.optim.AdamW([tensor for _, tensor in named], lr=rate, weight_decay=0.0)


def faster_b(named: Named, rate: float) -> torch.optim.Optimizer:
    """B at four times A's rate."""
    slow = [tensor for name, tensor in named if "lora_B" not in name]
    fast = [tensor for name, tensor in named if "lora_B" in name]
    return torch.optim.AdamW([{"params": slow}, {"params": fast, "lr": 4 * rate}], lr=rate, weight_decay=0.0)


def muon(named: Named, rate: float) -> torch.optim.Optimizer:
    """Muon, whose update is scaled to the size of AdamW's (arXiv:2502.16982 section 2.2)."""
    return torch.optim.Muon([tensor for _, tensor in named], lr=rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")


def short_memory(named: Named, rate: float) -> torch.optim.Optimizer:
    """AdamW with beta 2 of 0.95."""
    return torch.optim.AdamW([tensor for _, tensor in named], lr=rate, betas=(0.9, 0.95), weight_decay=0.0)


class Arm:
    """What an arm changes of LoRA's configuration, its optimiser, and its share of Locum's peak rate."""

    def __init__(
        self, optimizer: Callable[[Named, float], torch.optim.Optimizer] = adamw, share: float = 1.0, **config: Any
    ) -> None:
        self.optimizer, self.share, self.config = optimizer, share, config


ARMS = {
    "lora": Arm(),
    "lora+": Arm(faster_b),
    "rslora": Arm(use_rslora=True),
    "dora": Arm(use_dora=True),
    "pissa": Arm(init_lora_weights="pissa"),
    "pissa, rate / 4": Arm(share=0.25, init_lora_weights="pissa"),
    "olora, rate / 4": Arm(share=0.25, init_lora_weights="olora"),
    "muon": Arm(muon),
    "adamw 0.95": Arm(short_memory),
}


def measure(given: argparse.Namespace, arm: Arm) -> dict[str, Any]:
    """In a child: one arm on one corpus."""
    base = resolve_base(given.base)
    renderer = Renderer(base.folder)
    rows, held_out = choose(given.datasets[0], given.tokens, given.base, given.seed)
    sequences, looked_at = (chain([renderer.encode(row) for row in some]) for some in (rows, held_out))
    torch.manual_seed(given.seed)
    model = load_model(base.folder, best_device())
    model.requires_grad_(False)
    shape = OPTIONS.shape
    config = LoraConfig(r=shape.rank, lora_alpha=shape.alpha, target_modules=list(TARGETS), **arm.config)
    inject_adapter_in_model(config, model)
    named = [(name, tensor) for name, tensor in model.named_parameters() if tensor.requires_grad]
    for _, tensor in named:
        tensor.data = tensor.data.float()
    optimizer = arm.optimizer(named, OPTIONS.learning_rate * arm.share)
    peaks = [group["lr"] for group in optimizer.param_groups]
    plan = schedule.plan(sequences, OPTIONS.pack_tokens, OPTIONS.epochs, None, given.seed)
    looks = schedule.look_steps(plan, looked_at)
    curve = [(0, held_out_loss(model, looked_at))]
    for step, batch in enumerate(plan):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * schedule.rate(step, len(plan))
        optimizer.zero_grad(set_to_none=True)
        target_losses(model, batch).mean().backward()
        torch.nn.utils.clip_grad_norm_([tensor for _, tensor in named], 1.0)
        optimizer.step()
        if step + 1 in looks:
            curve.append((step + 1, held_out_loss(model, looked_at)))
    best = min(curve, key=lambda point: point[1])
    return {"rows": len(rows), "held_out": len(held_out), "steps": len(plan), "best_step": best[0], "curve": curve}


def held_out_loss(model: Any, sequences: Iterable[TokenSequence]) -> float:
    """Nats a response token."""
    with torch.no_grad():
        losses = [target_losses(model, batch) for batch in pack(list(sequences), schedule.LOOK_TOKENS)]
    return float(torch.cat(losses).mean())


def main() -> None:
    """Run every arm on every corpus and print a table."""
    given = arguments(__doc__, ARMS, tokens=8_000).parse_args()
    if given.measure:
        print(json.dumps(measure(given, ARMS[given.measure])))
        return
    lines: list[dict[str, Any]] = []
    for dataset in given.datasets:
        passed = [str(dataset), "--base", given.base, "--tokens", str(given.tokens), "--seed", str(given.seed)]
        for arm in given.arms or ARMS:
            one = measured.child(__file__, *passed, "--measure", arm)
            losses = [loss for _, loss in one["curve"]]
            line = {
                "corpus": dataset.name,
                "arm": arm,
                "rows": one["rows"],
                "held_out": one["held_out"],
                "untrained": round(losses[0], 3),
                "loss": round(min(losses), 3),
                "best_step": one["best_step"],
                "steps": one["steps"],
                "mean_of_looks": round(statistics.mean(losses[1:]), 3),
            }
            lines.append(line)
            if not given.json:
                print("  ".join(f"{name} {value}" for name, value in line.items()), flush=True)
    if given.json:
        print(json.dumps(lines))


if __name__ == "__main__":
    main()
