"""Answers to held-out prompts by a model file, in the engine that serves it."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from locum.progress import Progress
from locum.runtime.llamacpp import LlamaCpp
from locum.runtime.protocol import Completion, Sampling
from locum.training.chat_template import Encoded

GREEDY = Sampling()


def generate(
    model: Path,
    prompts: Sequence[Encoded],
    max_new_tokens: int,
    progress: Progress,
    work: str,
    draws: Sequence[Sampling] = (),
) -> list[list[Completion]]:
    """For each prompt the greedy answer, then one for each of `draws`.

    Prompts are taken in the order of their tokens: neighbours share the longest beginnings, which are computed once.

    Args:
        model: the `.gguf` file.
        prompts: rows as tokens; what stands before the response is the prompt.
        max_new_tokens: longest answer; each is also held to twice the agent's own length and 32 tokens.
        progress: told how many prompts are done.
        work: how progress calls it.
        draws: how further answers are drawn; their `max_tokens` is replaced.

    Raises:
        EngineError: the file does not load.
    """
    answers: list[list[Completion]] = [[] for _ in prompts]
    if not prompts:
        return answers
    longest = max(prompt.response_start for prompt in prompts)
    order = sorted(range(len(prompts)), key=lambda index: prompts[index].tokens[: prompts[index].response_start])
    with LlamaCpp(model, context=longest + max_new_tokens + 8) as engine:
        for done, index in enumerate(order):
            progress(work, done, len(order))
            prompt = prompts[index]
            limit = min(max_new_tokens, 2 * (len(prompt.tokens) - prompt.response_start) + 32)
            answers[index] = [
                engine.complete(
                    prompt.tokens[: prompt.response_start], msgspec.structs.replace(sampling, max_tokens=limit)
                )
                for sampling in (GREEDY, *draws)
            ]
        progress(work, len(order), len(order))
    return answers
