"""Whether Ollama makes the prompts that training made, and expects after them what the file's weights do.

A version that tells neither (`_debug_render_only`, `logprobs`) is not certified by it, and it is said so.
"""

from collections.abc import Sequence

import msgspec

from locum.errors import EngineError, NotShownError, TrainingError
from locum.export.conversations import Conversation, rendered
from locum.export.log_probabilities import LogprobAgreement, Opener
from locum.export.parity import first_difference
from locum.runtime.ollama import Ollama, same_but_for_json
from locum.runtime.ollama_engine import OllamaEngine
from locum.runtime.served_tokens import agreement_by_text, texts_of, token_text
from locum.training.chat_template import Renderer, with_questions
from locum.types import Row


class Rendering(msgspec.Struct, frozen=True):
    """How many conversations Ollama renders as training did."""

    checked: int
    identical: int
    but_for_json: int
    """Differ in the spelling of tools and arguments alone (`same_but_for_json`)."""
    different: int
    """Held-out prompts that Ollama's own rules change: system texts in the middle, neighbours of one role."""
    first_difference: str | None


def check_rendering(
    server: Ollama, name: str, renderer: Renderer, shapes: Sequence[Conversation], rows: Sequence[Row]
) -> Rendering | None:
    """Hold what Ollama renders against what training renders.

    Args:
        server: where the model is.
        name: the model's name there.
        renderer: training's side.
        shapes: conversations that must agree.
        rows: held-out rows, whose prompts are counted.

    Returns:
        None where this version of Ollama does not tell.

    Raises:
        EngineError: one of `shapes` is rendered differently; the first difference is shown.
    """
    identical = but_for_json = different = 0
    first = None
    must = {shape[0] for shape in shapes}
    for shape, messages, tools in [*shapes, *((f"held-out row {row.id[:12]}", row.prompt, row.tools) for row in rows)]:
        try:
            ours = renderer.prompt_text(messages, tools)
        except TrainingError:
            continue  # what training could not render, no engine is measured by
        theirs = server.render(name, with_questions(messages, answering=True), tools)
        if theirs is None:
            return None
        if ours == theirs:
            identical += 1
        elif same_but_for_json(ours, theirs):
            but_for_json += 1
        elif shape in must:
            raise EngineError(
                f"Ollama at {server.host} renders {shape!r} differently from training: "
                f"{first_difference(ours, theirs)}; deploy with --deploy embedded"
            )
        else:
            different += 1
            first = first or f"{shape}: {first_difference(ours, theirs)}"
    return Rendering(identical + but_for_json + different, identical, but_for_json, different, first)


def check_next_tokens(
    server: Ollama, name: str, renderer: Renderer, shapes: Sequence[Conversation], weights: Opener, bound: float
) -> LogprobAgreement | None:
    """Hold Ollama's next-token log-probabilities after training's prompts against weights in torch.

    Args:
        server: where the model is.
        name: the model's name there.
        renderer: training's side.
        shapes: conversations whose prompts are asked.
        weights: opens the weights that Ollama shall have.
        bound: what the mean difference may be, in nats.

    Returns:
        None where this version of Ollama does not tell.

    Raises:
        EngineError: they differ by more.
    """
    engine = OllamaEngine(server, name, renderer)
    prompts = [renderer.tokens(text) for _, text in rendered(renderer, shapes)[0]]
    try:
        served = [engine.next_tokens(prompt, 5) for prompt in prompts]
        text = token_text(renderer)
        with weights() as model:
            expected = [texts_of(model.next_log_probabilities(prompt), text) for prompt in prompts]
        found = agreement_by_text(served, expected, bound)
    except NotShownError:
        return None
    if not found.holds():
        raise EngineError(
            f"next-token log-probabilities of Ollama at {server.host} are {found.mean_abs_difference:.3f} nats off "
            f"those of the file's weights on average (at most {bound} is allowed); deploy with --deploy embedded"
        )
    return found
