"""What it saves to answer several held-out prompts at once, and how many answers stay what they are.

    python benchmarks/at_once.py RUN [--rows 8] [--base smollm2:135m] [--tokens 60] [--at-once 1,1,2,2,4,4]

For each number: wall and CPU seconds of this process (loading the model file included), the prompts' tokens that were
found in the cache, and how many answers are letter for letter those of the first number, and of the number before.
"""

import argparse
import resource
import time
from pathlib import Path

from locum.dataset.store import read_rows
from locum.evaluation.encode import encode
from locum.evaluation.generate import generate
from locum.evaluation.sample import choose
from locum.progress import silent
from locum.training.base import resolve_base
from locum.training.chat_template import Renderer


def cpu_seconds() -> float:
    """User and system time of this process and its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print a line for each number."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("run", type=Path)
    options.add_argument("--rows", type=int, default=8)
    options.add_argument("--base", default="smollm2:135m")
    options.add_argument("--tokens", type=int, default=60)
    options.add_argument("--at-once", default="1,1,2,2,4,4")
    given = options.parse_args()
    model = next((given.run / "model").glob("*.gguf"))
    encoded, _ = encode(
        choose(read_rows(given.run / "dataset", "test"), given.rows, 0), Renderer(resolve_base(given.base).folder)
    )
    prompts = list(encoded.values())
    print(f"{model.name}: {len(prompts)} prompts of {sum(prompt.response_start for prompt in prompts):,} tokens")
    texts: list[list[str]] = []
    for at_once in map(int, given.at_once.split(",")):
        wall, cpu = time.monotonic(), cpu_seconds()
        found = [one for (one,) in generate(model, prompts, given.tokens, silent, "", at_once=at_once)]
        wall, cpu = time.monotonic() - wall, cpu_seconds() - cpu
        texts.append([one.text for one in found])
        first, before = (sum(map(str.__eq__, texts[-1], other)) for other in (texts[0], texts[max(0, len(texts) - 2)]))
        print(
            f"{at_once} at once: {wall:.1f} s wall, {cpu:.1f} s CPU, "
            f"{sum(one.cached_tokens for one in found):,} tokens cached; "
            f"same as the first {first}, as the one before {before}",
            flush=True,
        )


if __name__ == "__main__":
    main()
