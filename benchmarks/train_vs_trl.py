"""Training beside TRL + PEFT: the same base, rows, layers, rank and tokens a step, in turn in one run.

.venv/bin/python benchmarks/train_vs_trl.py [--quick] [--dataset FOLDER] [--rounds 3] [--iterations 600] [--json]

Speed: rounds in which every arm (Locum, TRL + PEFT in float32, TRL + PEFT in bfloat16) takes its turn in a process of
its own and goes once over the rows. Its clock runs from the end of the first step to the end of the last: loading and
warming up count for nobody. Tokens are those of the rows (prompt and response, no padding), each row's counted in
whole for both, although Locum computes the beginnings that rows share once; `computed` counts those once for Locum.
`speedup` is against the faster of TRL's two precisions in the same round, and so is `speedup_computed`.

Bound: the FLOP that training these tokens needs (`measured.step_flops`, with the tokens that Locum really computed)
over the rate of one large matrix product measured in the same round, as a share of the time that Locum took.

Time to loss: TRL in its faster precision at `--trl-rate` for `--iterations` steps, looking at the held-out rows every
ten (its clock stands still meanwhile), and Locum with its default settings (its clock runs on during its looks and
takes in the first one). `time_to_loss_ratio` is TRL's time to its best loss over Locum's to one no worse.
With `--stop-after N`, TRL ends once N iterations brought no better loss; its schedule is still that of all iterations.

Timings mean something on an idle machine only. `--quick` shows that everything runs: one round, 24 rows, 10 iterations.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import measured

from locum import files
from locum.training.backend import LoraShape, Metric, TrainOptions
from locum.training.base import Base, resolve_base
from locum.training.chat_template import Encoded, Renderer
from locum.training.loop import train
from locum.training.lora import TARGETS
from locum.types import Row

BATCH = 4
ALPHA_OVER_RANK = 2
PEERS = ("float32", "bfloat16")


def locum_speed(rows: list[Row], base: Base, given: argparse.Namespace) -> dict[str, Any]:
    """One pass; seconds and tokens from the end of the first step on."""
    renderer = Renderer(base.folder)
    encoded = [renderer.encode(row) for row in rows]
    mean = sum(len(row.tokens) for row in encoded) / len(encoded)
    options = TrainOptions(
        shape=LoraShape(rank=given.rank, alpha=ALPHA_OVER_RANK * given.rank),
        epochs=1,
        pack_tokens=round(BATCH * mean),
        seed=given.seed,
    )
    with tempfile.TemporaryDirectory() as scratch:
        result = train(rows, [], base, Path(scratch), options)
        steps = [m for m in files.read_jsonl(Path(scratch) / "metrics.jsonl", Metric) if m.step >= 1]
    seconds = steps[-1].seconds - steps[0].seconds
    computed = steps[-1].tokens - steps[0].tokens
    # What the pass computes stands for all of the rows' tokens, so its later part for that part of them.
    return {
        "row_tokens_per_s": mean * len(rows) * computed / steps[-1].tokens / seconds,
        "computed_tokens_per_s": computed / seconds,
        "targets_per_computed": sum(len(row.tokens) - row.response_start for row in encoded) / steps[-1].tokens,
        "dtype": result.dtype,
        "device": result.device,
        "steps": result.steps,
    }


def locum_curve(rows: list[Row], held_out: list[Row], base: Base, given: argparse.Namespace) -> dict[str, Any]:
    """Held-out loss against seconds at default settings, looks included."""
    with tempfile.TemporaryDirectory() as scratch:
        result = train(rows, held_out, base, Path(scratch), TrainOptions(seed=given.seed))
        curve = files.read_jsonl(Path(scratch) / "metrics.jsonl", Metric)
    points = [(m.step, m.seconds, m.valid_loss) for m in curve if m.valid_loss is not None]
    return {"curve": points, "seconds": result.seconds, "steps": result.steps}


def trl(rows: list[Row], held_out: list[Row], base: Base, given: argparse.Namespace, dtype: str) -> dict[str, Any]:
    """SFTTrainer and PEFT, loss on the completion alone: one pass, or `given.iterations` steps with looks."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    renderer = Renderer(base.folder)
    looks = [renderer.encode(row) for row in held_out]
    ends: list[float] = []
    tokens: list[int] = []
    curve: list[tuple[int, float, float]] = []
    looking = 0.0

    class Watched(SFTTrainer):  # type: ignore[misc]
        def training_step(self, model: Any, inputs: Any, *rest: Any) -> Any:
            tokens.append(int(inputs["attention_mask"].sum()))
            return super().training_step(model, inputs, *rest)

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            nonlocal looking
            now = time.perf_counter()
            ends.append(now - self.began - looking)
            if looks and state.global_step % 10 == 0:
                curve.append((state.global_step, ends[-1], held_out_loss(model, looks)))
                looking += time.perf_counter() - now
                best = min(curve, key=lambda point: point[2])
                if given.stop_after and state.global_step - best[0] >= given.stop_after:
                    control.should_training_stop = True

    model = AutoModelForCausalLM.from_pretrained(base.folder, dtype=getattr(torch, dtype))
    with tempfile.TemporaryDirectory() as scratch:
        config = SFTConfig(
            output_dir=scratch,
            per_device_train_batch_size=BATCH,
            num_train_epochs=1,
            max_steps=given.iterations if looks else -1,
            learning_rate=given.trl_rate,
            max_length=4096,
            completion_only_loss=True,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            seed=given.seed,
        )
        trainer = Watched(
            model=model,
            args=config,
            train_dataset=Dataset.from_list([as_pair(renderer, row) for row in rows]),
            processing_class=renderer.tokenizer,
            peft_config=LoraConfig(
                r=given.rank,
                lora_alpha=ALPHA_OVER_RANK * given.rank,
                target_modules=list(TARGETS),
                task_type="CAUSAL_LM",
            ),
            callbacks=[Clock()],
        )
        trainer.train()
    return {
        "row_tokens_per_s": sum(tokens[1:]) / (ends[-1] - ends[0]),
        "curve": curve,
        "steps": len(ends),
        "seconds": ends[-1],
    }


def as_pair(renderer: Renderer, row: Row) -> dict[str, str]:
    """A row as TRL's prompt and completion, the very text that Locum trains on."""
    prompt = renderer.prompt_text(row.prompt, row.tools)
    return {"prompt": prompt, "completion": renderer.text(row.messages, row.tools)[len(prompt) :].rstrip("\n")}


def held_out_loss(model: Any, rows: list[Encoded]) -> float:
    """Nats a response token, row by row in plain transformers; the same mean that Locum's looks take."""
    import torch
    from torch.nn import functional

    was_training = model.training
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for row in rows:
            ids = torch.tensor([row.tokens])
            logits = model(input_ids=ids, use_cache=False).logits[0, row.response_start - 1 : -1].float()
            total += float(functional.cross_entropy(logits, ids[0, row.response_start :], reduction="sum"))
            count += len(row.tokens) - row.response_start
    model.train(was_training)
    return total / count


def measure(given: argparse.Namespace, arm: str) -> dict[str, Any]:
    """In a child: one arm."""
    base = resolve_base(given.base)
    rows, held_out = measured.choose(given.dataset, base, given.rows, given.longest)
    kind, _, dtype = arm.partition("/")
    if kind == "product":
        found: dict[str, Any] = {"rate": measured.product_rate(dtype)}
    elif kind == "locum":
        found = locum_curve(rows, held_out, base, given) if dtype == "curve" else locum_speed(rows, base, given)
    else:
        found = trl(rows, held_out if kind == "trl-curve" else [], base, given, dtype)
    return {**found, "peak_mb": measured.peak_mb()}


def flops_per_token(base: Base, rank: int, targets: float) -> float:
    """FLOP that a computed token needs where `targets` of a token carries a loss."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(base.folder)
    return measured.step_flops(config, rank, 1000, round(1000 * targets)) / 1000


def time_to_loss(slow: dict[str, Any], fast: dict[str, Any]) -> dict[str, Any]:
    """The best loss of `slow`, and how long both took to it; no ratio where `fast` never got there."""
    step, seconds, loss = min(slow["curve"], key=lambda point: point[2])
    reached = next((point[1] for point in fast["curve"] if point[2] <= loss), None)
    return {
        "trl_best_loss": loss,
        "trl_best_step": step,
        "trl_seconds": seconds,
        "trl_steps": slow["steps"],
        "locum_seconds": reached,
        "locum_best_loss": min(point[2] for point in fast["curve"]),
        "locum_total_seconds": fast["seconds"],
        "ratio": seconds / reached if reached else None,
    }


def compare(given: argparse.Namespace) -> dict[str, Any]:
    """All rounds, and the two curves."""
    base = resolve_base(given.base)
    passed = ["--dataset", str(given.dataset), "--base", given.base, "--rows", str(given.rows)]
    passed += ["--longest", str(given.longest), "--rank", str(given.rank), "--iterations", str(given.iterations)]
    passed += ["--trl-rate", str(given.trl_rate), "--stop-after", str(given.stop_after)]

    def arm(name: str, seed: int) -> dict[str, Any]:
        found: dict[str, Any] = measured.child(__file__, *passed, "--seed", str(seed), "--arm", name)
        return found

    rounds: list[dict[str, Any]] = []
    for seed in range(given.rounds):
        found = {"locum": arm("locum/speed", seed)}
        found["product"] = arm(f"product/{found['locum']['dtype']}", seed)
        rounds.append(found | {dtype: arm(f"trl/{dtype}", seed) for dtype in PEERS})
    speed = {name: [one[name]["row_tokens_per_s"] for one in rounds] for name in ("locum", *PEERS)}
    computed = [one["locum"]["computed_tokens_per_s"] for one in rounds]
    best = [max(of_round) for of_round in zip(*(speed[dtype] for dtype in PEERS), strict=True)]
    needed = flops_per_token(base, given.rank, rounds[0]["locum"]["targets_per_computed"])
    shares = [rate * needed / one["product"]["rate"] for rate, one in zip(computed, rounds, strict=True)]
    faster = max(PEERS, key=lambda dtype: sum(speed[dtype]))
    races = []
    for seed in range(given.races):
        fast = arm("locum/curve", seed)
        races.append({**time_to_loss(arm(f"trl-curve/{faster}", seed), fast), "locum_curve": fast["curve"]})
    rows, held_out = measured.choose(given.dataset, base, given.rows, given.longest)
    renderer = Renderer(base.folder)
    return {
        "rows": len(rows),
        "row_tokens": sum(len(renderer.encode(row).tokens) for row in rows),
        "held_out_rows": len(held_out),
        "rank": given.rank,
        "rounds": given.rounds,
        "dtype": rounds[0]["locum"]["dtype"],
        "speedup": measured.spread([ours / theirs for ours, theirs in zip(speed["locum"], best, strict=True)]),
        "speedup_computed": measured.spread([ours / theirs for ours, theirs in zip(computed, best, strict=True)]),
        "bound_share": measured.spread(shares, 3),
        "time_to_loss_ratio": measured.spread([race["ratio"] for race in races if race["ratio"]]),
        "peak_mb": {name: measured.spread([one[name]["peak_mb"] for one in rounds], 0) for name in ("locum", *PEERS)},
        "row_tokens_per_s": {name: measured.spread(values) for name, values in speed.items()},
        "computed_tokens_per_s": measured.spread(computed),
        "product_gflops": measured.spread([one["product"]["rate"] / 1e9 for one in rounds], 0),
        "mflop_per_computed_token": round(needed / 1e6, 1),
        "iterations": given.iterations,
        "races": races,
    }


def main() -> None:
    """Measure in turns and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round, 24 rows, 10 iterations")
    parser.add_argument("--dataset", type=Path, help="a dataset folder (default: one of 60 generated sessions)")
    parser.add_argument("--base", default="smollm2:135m")
    parser.add_argument("--rows", type=int, default=91)
    parser.add_argument("--longest", type=int, default=320, help="leave out rows of more tokens")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--races", type=int, default=1, help="runs of the time to loss; 0: none")
    parser.add_argument("--iterations", type=int, default=600, help="of TRL, in the time to loss")
    parser.add_argument("--stop-after", type=int, default=0, help="iterations without a better loss that end TRL's run")
    parser.add_argument("--trl-rate", type=float, default=2e-4, help="TRL's peak learning rate")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.arm:
        print(json.dumps(measure(given, given.arm)))
        return
    if given.quick:
        given.rounds, given.iterations, given.rows = 1, 10, 24
    with tempfile.TemporaryDirectory() as scratch:
        given.dataset = given.dataset or measured.generated(Path(scratch))
        found = compare(given)
    if given.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
