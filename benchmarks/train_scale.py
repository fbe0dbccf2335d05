"""What training costs against rows, length, turns of a session and layers; and a 2B decoder of true shape.

.venv/bin/python benchmarks/train_scale.py [--quick] [--no-2b] [--only-2b] [--iterations-2b N] [--json]

Each point is a process of its own. `seconds` run from the end of the first step to the end of the last; CPU seconds
are those of all threads over the same steps, and mean something on a machine that others use, too. Rows are made up:
random words of SmolLM2's vocabulary, so a row has the length that is asked for. Nothing is learned, and need not be.

- rows: 16 to 128 rows of 190 tokens; cost should grow with their number.
- length: rows of 64 to 2,048 tokens, 8,192 tokens in all; what grows beyond is attention.
- turns: one session of 1 to 32 turns, 48 tokens a turn, each turn a row that begins with all before. `row_tokens` grow
  with the square of the turns, `tokens` (what is computed) with the session's length.
- layers: the top 4 to 30 of 30 layers, two passes: the second finds the frozen ones' activations.
- 2b: a llama of Gemma 2 2B's size (26 layers of width 2304 and 9216, vocabulary 256,000 with tied head, 2.6 billion
  weights) with random weights in bfloat16, 91 rows of 190 tokens: seconds a step, and peak memory; one pass, or so many
  iterations. On a GPU its own peak stands beside that of the process.
"""

import argparse
import json
import resource
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measured
import msgspec

from locum.progress import silent
from locum.training import loop
from locum.training.backend import LoraShape, Metric, TrainOptions
from locum.training.base import Base, resolve_base
from locum.training.chat_template import Encoded
from locum.training.loop import train
from locum.training.rows import EncodedRows
from locum.types import Message, Row

RESPONSE = 40
TURN = 48


class Point(msgspec.Struct, frozen=True):
    """One measurement: rows of these lengths, whose first `shared` tokens are the row before it."""

    study: str
    at: int
    lengths: tuple[int, ...]
    chained: bool = False
    top: int | None = None
    epochs: int = 1
    pack_tokens: int = 760
    steps: int | None = None


def points(quick: bool) -> list[Point]:
    """Everything but the 2B."""
    rows = (8, 16) if quick else (16, 32, 64, 128)
    lengths = (64, 128) if quick else (64, 190, 512, 1024, 2048)
    turns = (1, 4) if quick else (1, 2, 4, 8, 16, 32)
    layers = (4, 30) if quick else (4, 8, 16, 24, 30)
    total = 512 if quick else 8192
    found = [Point("rows", count, (190,) * count) for count in rows]
    found += [Point("length", length, (length,) * (total // length), pack_tokens=total // 4) for length in lengths]
    # Four sessions alike, a step each: the first one's step is not counted.
    for count in turns:
        lengths = tuple(TURN * (1 + turn) for turn in range(count))
        found.append(Point("turns", count, lengths, chained=True, pack_tokens=lengths[-1]))
    return found + [Point("layers", top, (190,) * (8 if quick else 32), top=top, epochs=2) for top in layers]


def made_up(point: Point, vocabulary: int) -> list[Encoded]:
    """The point's rows as tokens."""
    import random

    draw = random.Random(f"{point.study}/{point.at}")
    if not point.chained:
        return [
            Encoded(tokens=draw.choices(range(10, vocabulary), k=length), response_start=length - RESPONSE)
            for length in point.lengths
        ]
    rows = []
    for _ in range(4):
        session = draw.choices(range(10, vocabulary), k=point.lengths[-1])
        rows += [Encoded(tokens=session[:length], response_start=length - TURN // 2) for length in point.lengths]
    return rows


def measure(point: Point, base: Base, vocabulary: int) -> dict[str, Any]:
    """In a child: train on a point's rows."""
    encoded = made_up(point, vocabulary)

    def given(rows: Sequence[Row], *rest: Any) -> EncodedRows:
        """The rows' text is never looked at."""
        return EncodedRows(encoded[: len(rows)], [row.id for row in rows], [])

    loop.encode_rows = given  # type: ignore[attr-defined]
    rows = [
        Row(id=str(at), session="s", lineage="s", turn=at, family="reply", messages=(Message("assistant", "."),))
        for at in range(len(encoded))
    ]
    cpu: dict[int, float] = {}
    metrics: dict[int, Metric] = {}

    def observe(metric: Metric) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu[metric.step], metrics[metric.step] = used.ru_utime + used.ru_stime, metric

    options = TrainOptions(
        shape=LoraShape(top=point.top),
        epochs=point.epochs,
        max_steps=point.steps,
        pack_tokens=point.pack_tokens,
        patience=0,
    )
    with tempfile.TemporaryDirectory() as scratch:
        result = train(rows, [], base, Path(scratch), options, silent, observe=observe)
    first, last = min(step for step in cpu if step >= 1), max(cpu)
    return {
        "study": point.study,
        "at": point.at,
        "rows": len(encoded),
        "row_tokens": sum(len(row.tokens) for row in encoded),
        "tokens": metrics[last].tokens,
        "steps": result.steps,
        "seconds": round(metrics[last].seconds - metrics[first].seconds, 3),
        "cpu_seconds": round(cpu[last] - cpu[first], 3),
        "cpu_ms_per_token": round(1000 * (cpu[last] - cpu[first]) / (metrics[last].tokens - metrics[first].tokens), 3),
        "seconds_per_step": round((metrics[last].seconds - metrics[first].seconds) / max(1, last - first), 3),
        "peak_mb": round(measured.peak_mb()),
        "gpu_peak_mb": gpu_peak_mb(),
        "device": result.device,
    }


def gpu_peak_mb() -> int | None:
    """The most memory that torch ever held on a CUDA device, in MB; None without one."""
    import torch

    return round(torch.cuda.max_memory_allocated() / 1e6) if torch.cuda.is_available() else None


def write_2b(folder: Path, tokenizer: Path) -> None:
    """A decoder of Gemma 2 2B's size with random weights, written tensor by tensor: it never is in memory twice."""
    import shutil

    import torch
    from safetensors.torch import save_file
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=256_000,
        hidden_size=2304,
        intermediate_size=9216,
        num_hidden_layers=26,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=256,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        dtype="bfloat16",
    )
    config.architectures = ["LlamaForCausalLM"]
    config.save_pretrained(folder)
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in LlamaForCausalLM(config).state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    index: dict[str, str] = {}
    held: dict[str, Any] = {}

    def flush() -> None:
        name = f"model-{len(set(index.values())):05}.safetensors"
        save_file(held, folder / name, metadata={"format": "pt"})
        index.update(dict.fromkeys(held, name))
        held.clear()

    for name, shape in shapes.items():
        if name == "lm_head.weight":
            continue  # tied
        plain = torch.ones(shape) if "norm" in name else torch.randn(shape, generator=generator) * 0.02
        held[name] = plain.to(torch.bfloat16)
        if sum(tensor.numel() for tensor in held.values()) > 2e8:
            flush()
    flush()
    told = {"metadata": {}, "weight_map": index}
    (folder / "model.safetensors.index.json").write_text(json.dumps(told), encoding="utf-8")
    for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"):
        if (tokenizer / file).is_file():
            shutil.copy(tokenizer / file, folder / file)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few and small points, 8 rows for the 2B")
    parser.add_argument("--no-2b", action="store_true")
    parser.add_argument("--only-2b", action="store_true")
    parser.add_argument("--iterations-2b", type=int, metavar="N", help="of the 2B (default: one pass over its rows)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    small = resolve_base("smollm2:135m")
    if given.folder and not given.point:
        write_2b(given.folder, small.folder)
        print("null")
        return
    if given.point:
        base = Base(name="2b", folder=given.folder) if given.folder else small
        print(json.dumps(measure(msgspec.json.decode(given.point, type=Point), base, 49_000)))
        return
    found = [] if given.only_2b else points(given.quick)
    table = [measured.child(__file__, "--point", msgspec.json.encode(point).decode()) for point in found]
    if not given.no_2b:
        with tempfile.TemporaryDirectory() as scratch:
            measured.child(__file__, "--folder", scratch)
            point = Point("2b", 26, (190,) * (8 if given.quick else 91), steps=given.iterations_2b)
            encoded = msgspec.json.encode(point).decode()
            table.append(measured.child(__file__, "--folder", scratch, "--point", encoded))
    if given.json:
        print(json.dumps(table))
        return
    print("  ".join(f"{name:>16}" for name in table[0]))
    for line in table:
        print("  ".join(f"{value!s:>16}" for value in line.values()))


if __name__ == "__main__":
    main()
