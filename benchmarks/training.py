"""Training speed beside TRL + PEFT: the same base, rows, layers and rank, in one run.

Reads nothing; generates 30 sessions (about 91 rows), trains SmolLM2-135M for one pass with each, and prints a table.

    make bench
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from locum.dataset import extract, read_rows
from locum.dataset.split import SPLITS
from locum.dataset.store import encode_row
from locum.sessions.scripted import write_sessions
from locum.training.base import Base, resolve_base
from locum.training.chat_template import Renderer
from locum.training.loop import TrainOptions, train
from locum.training.lora import TARGETS
from locum.types import Row

RANK, ALPHA = 16, 32


def rows(folder: Path, sessions: int) -> list[Row]:
    """Every row of a generated dataset."""
    write_sessions(folder / "sessions", sessions, seed=0)
    extract([folder / "sessions"], folder / "dataset")
    return [row for split in SPLITS for row in read_rows(folder / "dataset", split)]


def ours(data: list[Row], base: Base, folder: Path) -> float:
    """Seconds of one pass with Locum."""
    return train(data, [], base, folder / "locum", TrainOptions(epochs=1)).seconds


def peer(data: list[Row], base: Base, folder: Path, dtype: torch.dtype) -> float:
    """Seconds of one pass with TRL's SFTTrainer and PEFT, loss on the completion only, batches of four."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    renderer = Renderer(base.folder)
    pairs = []
    for row in data:
        prompt = renderer.prompt_text(row.prompt, row.tools)
        pairs.append(
            {"prompt": prompt, "completion": renderer.text(row.messages, row.tools)[len(prompt) :].rstrip("\n")}
        )
    model = AutoModelForCausalLM.from_pretrained(base.folder, dtype=dtype)
    config = SFTConfig(
        output_dir=str(folder / "trl"),
        per_device_train_batch_size=4,
        num_train_epochs=1,
        learning_rate=2e-4,
        max_length=4096,
        completion_only_loss=True,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(pairs),
        processing_class=renderer.tokenizer,
        peft_config=LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=list(TARGETS), task_type="CAUSAL_LM"),
    )
    started = time.monotonic()
    trainer.train()
    return time.monotonic() - started


def main() -> None:
    """Run all arms twice in turn, so that a slow minute of the machine does not fall on one alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    base = resolve_base("smollm2:135m")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = rows(folder, options.sessions)
        renderer = Renderer(base.folder)
        tokens = sum(len(renderer.encode(row).tokens) for row in data)
        arms: dict[str, Callable[[], float]] = {
            "locum": lambda: ours(data, base, folder),
            "trl+peft float32": lambda: peer(data, base, folder, torch.float32),
            "trl+peft bfloat16": lambda: peer(data, base, folder, torch.bfloat16),
        }
        seconds: dict[str, list[float]] = {arm: [] for arm in arms}
        for _ in range(options.rounds):
            for arm, work in arms.items():
                seconds[arm].append(work())
        best = {arm: min(values) for arm, values in seconds.items()}
        print(f"{len(data)} rows, {tokens:,} tokens of rows, rank {RANK}, all linear layers, one pass")
        for arm, value in best.items():
            print(
                f"{arm:<18} {value:7.1f} s  {tokens / value:7.0f} row tokens/s  locum is {value / best['locum']:.1f} x"
            )
        size = sum(len(encode_row(row)) for row in data)
        result: dict[str, Any] = {"rows": len(data), "row_tokens": tokens, "bytes": size, "seconds": seconds}
        print(json.dumps(result))


if __name__ == "__main__":
    main()
