"""Answers to held-out prompts by a model file, in the engine that serves it."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from locum.progress import Progress
from locum.runtime.llamacpp import LlamaCpp
from locum.runtime.protocol import Asked, Completion, Sampling
from locum.training.chat_template import Encoded

GREEDY = Sampling()


def generate(
    model: Path,
    prompts: Sequence[Encoded],
    max_new_tokens: int,
    progress: Progress,
    work: str,
    draws: Sequence[Sampling] = (),
    at_once: int = 1,
) -> list[list[Completion]]:
    """For each prompt the greedy answer, then one for each of `draws`.

    Prompts are taken in the order of their tokens: neighbours share the longest beginnings, which are computed once (by
    each of `at_once`).

    Args:
        model: the `.gguf` file.
        prompts: rows as tokens; what stands before the response is the prompt.
        max_new_tokens: longest answer; each is also held to twice the agent's own length and 32 tokens.
        progress: told how many prompts are done.
        work: how progress calls it.
        draws: how further answers are drawn; their `max_tokens` is replaced.
        at_once: prompts that are answered at once; what that changes, `LlamaCpp` says.

    Raises:
        EngineError: the file does not load.
    """
    answers: list[list[Completion]] = [[] for _ in prompts]
    if not prompts:
        return answers
    longest = max(prompt.response_start for prompt in prompts)
    order = sorted(range(len(prompts)), key=lambda index: prompts[index].tokens[: prompts[index].response_start])
    asked = [_asked(prompts[index], max_new_tokens, (GREEDY, *draws)) for index in order]
    progress(work, 0, len(order))
    with (
        LlamaCpp(model, context=longest + max_new_tokens + 8, at_once=at_once) as engine,
        closing(engine.complete_all(asked)) as completed,
    ):
        for done, (index, found) in enumerate(zip(order, completed, strict=True)):
            answers[index] = found
            progress(work, done + 1, len(order))
    return answers


def _asked(prompt: Encoded, max_new_tokens: int, samplings: tuple[Sampling, ...]) -> Asked:
    limit = min(max_new_tokens, 2 * (len(prompt.tokens) - prompt.response_start) + 32)
    return Asked(
        prompt.tokens[: prompt.response_start],
        tuple(msgspec.structs.replace(sampling, max_tokens=limit) for sampling in samplings),
    )
