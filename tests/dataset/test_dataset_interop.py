"""A dataset folder is read by others as it is: Hugging Face datasets, TRL, mlx-lm.

What they stumble over is arguments: every tool has its own, so that no two rows need have one schema.
"""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from locum.dataset import extract, read_rows
from locum.dataset.split import SPLITS
from locum.training.base import Base

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' own

ARGUMENTS: tuple[dict[str, Any], ...] = (
    {},
    {"at": 1},
    {"at": "one", "deep": {"at": {"at": []}}},
    {"at": [1, "two", {"three": None}], "flag": True},
    {"at": None, "text": 'says "no"\n\\ and <tool_call>'},
    {"at": 0.1, "ß": "日本語 🦉", "": "no name"},
    {"deep": "flat after all", "long": 2**53, "negative": -1},
    {"deep": [{"a": 1}, {"a": "b"}, []], "json": '{"not": "parsed"}'},
    {"at": {"n": 1e300}, "null": "null"},
    {"deep": 7, "flag": "maybe"},
)
TEMPLATE = (
    "{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "{% for call in message.tool_calls %}<call>{{ call.function.name }}{{ call.function.arguments | tojson }}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""ChatML that shows tools and calls."""


def conversation(at: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """One call and its report; every second one says which tools there are, each with a schema of its own."""
    name = f"look_{at}"
    function = {"name": name, "arguments": json.dumps(arguments)}
    messages = [
        {"role": "user", "content": f"What does number {at} of the list say today?"},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "c", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "c", "content": f"line {at * 7}"},
        {"role": "assistant", "content": f"It says line {at * 7}."},
    ]
    if at % 2:
        return {"messages": messages}
    properties = {key or "none": {"type": ["string", "null"], "enum": [key, at, None]} for key in arguments}
    schema = {"type": "object", "properties": properties}
    return {"messages": messages, "tools": [{"type": "function", "function": {"name": name, "parameters": schema}}]}


def write_folder(scratch: Path, arguments: Sequence[dict[str, Any]]) -> Path:
    """A dataset of one conversation for each of the arguments."""
    log = scratch / "log.jsonl"
    log.write_text("".join(json.dumps(conversation(at, made)) + "\n" for at, made in enumerate(arguments)))
    extract([log], scratch / "dataset")
    return scratch / "dataset"


@pytest.fixture
def folder(tmp_path: Path, home: Path) -> Path:
    """A dataset of ten conversations, no two of whose calls have arguments of one type."""
    return write_folder(tmp_path, ARGUMENTS)


def lines(folder: Path, split: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]


def load(folder: Path, tmp_path: Path) -> Any:
    import datasets

    datasets.disable_progress_bars()
    return datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))


@pytest.mark.parametrize("alike", [0, 24])
def test_datasets_loads_the_folder(alike: int, tmp_path: Path, home: Path) -> None:
    """Also where all that is trained on looks alike, so that a schema guessed from it fails on the rest."""
    pytest.importorskip("datasets", "4.7")
    arguments = [*({"at": n} for n in range(alike)), *ARGUMENTS]
    folder = write_folder(tmp_path, arguments)
    loaded = load(folder, tmp_path)
    assert list(loaded) == ["train", "validation", "test"]
    for split, name in zip(SPLITS, loaded, strict=True):
        assert len(loaded[name]) == len(read_rows(folder, split)) > 0
        for row, line in zip(loaded[name], lines(folder, split), strict=True):
            assert {**row, "tools": row["tools"] or []} == {"tools": [], **line}
    calls = [m["tool_calls"] for name in loaded for row in loaded[name] for m in row["messages"] if "tool_calls" in m]
    seen = {json.dumps(call["function"]["arguments"], sort_keys=True) for made in calls for call in made}
    assert seen == {json.dumps(made, sort_keys=True) for made in arguments}


@pytest.mark.slow
def test_trl_trains_on_the_folder(folder: Path, tmp_path: Path, small_base: Base) -> None:
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
    from trl import SFTConfig, SFTTrainer

    tokenizer = AutoTokenizer.from_pretrained(small_base.folder)
    tokenizer.chat_template = TEMPLATE
    loaded = load(folder, tmp_path)
    torch.manual_seed(1)
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **sizes))
    config = SFTConfig(
        output_dir=str(tmp_path / "out"),
        max_steps=2,
        per_device_train_batch_size=2,
        max_length=256,
        logging_steps=1,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer: Any = SFTTrainer(
        model=model,
        args=config,
        train_dataset=loaded["train"],
        eval_dataset=loaded["validation"],
        processing_class=tokenizer,
    )
    result = trainer.train()
    assert result.global_step == 2
    assert math.isfinite(result.training_loss)
    texts = [tokenizer.decode(row["input_ids"]) for row in trainer.train_dataset]
    for text, line in zip(texts, lines(folder, "train"), strict=True):
        assert text == tokenizer.apply_chat_template(line["messages"], tools=line.get("tools"), tokenize=False)
    assert any(json.dumps(ARGUMENTS[3]["at"]) in text for text in texts)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="mlx has no wheel for Windows")
def test_mlx_lm_trains_on_the_folder(folder: Path, tmp_path: Path, small_base: Base) -> None:
    import mlx.core as mx
    import mlx.optimizers
    from mlx_lm.models import llama
    from mlx_lm.tokenizer_utils import load as load_tokenizer
    from mlx_lm.tuner.datasets import CacheDataset, load_dataset
    from mlx_lm.tuner.trainer import TrainingArgs, TrainingCallback, train

    losses = []

    class Losses(TrainingCallback):  # type: ignore[misc]
        def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
            losses.append(train_info["train_loss"])

    tokenizer: Any = load_tokenizer(small_base.folder)
    tokenizer.chat_template = TEMPLATE
    arguments = SimpleNamespace(data=str(folder), train=True, test=True, mask_prompt=True)
    splits = load_dataset(arguments, tokenizer)
    assert [len(rows) for rows in splits] == [len(read_rows(folder, split)) for split in SPLITS]
    for rows, split in zip(splits, SPLITS, strict=True):
        for at, line in enumerate(lines(folder, split)):
            tokens, masked = rows.process(rows[at])
            response = line["messages"][-1]
            target = "".join(
                f"<call>{call['function']['name']}{json.dumps(call['function']['arguments'], ensure_ascii=False)}"
                for call in response.get("tool_calls", ())
            )
            assert tokenizer.decode(tokens[masked:]) == f"{response['content']}{target}<|im_end|>\n"
    mx.random.seed(1)
    model = llama.Model(
        llama.ModelArgs(
            model_type="llama",
            hidden_size=16,
            num_hidden_layers=1,
            intermediate_size=32,
            num_attention_heads=2,
            rms_norm_eps=1e-5,
            vocab_size=len(tokenizer.get_vocab()),
        )
    )
    args = TrainingArgs(
        batch_size=2,
        iters=2,
        val_batches=1,
        steps_per_report=1,
        max_seq_length=512,
        adapter_file=str(tmp_path / "adapter.safetensors"),
    )
    train(
        model,
        mlx.optimizers.SGD(learning_rate=1e-3),
        CacheDataset(splits[0]),
        CacheDataset(splits[1]),
        args=args,
        training_callback=Losses(),
    )
    assert len(losses) == 2
    assert all(math.isfinite(loss) for loss in losses)
