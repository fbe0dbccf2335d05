"""Whether Ollama makes the prompts that training made, where a version tells what it makes (`_debug_render_only`)."""

from collections.abc import Sequence

import msgspec

from locum.errors import EngineError, TrainingError
from locum.export.conversations import Conversation
from locum.export.parity import first_difference
from locum.runtime.ollama import Ollama, same_but_for_json
from locum.training.chat_template import Renderer
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
        theirs = server.render(name, messages, tools)
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
