"""Prompts beyond the held-out rows, for what only they can show: whether favourite phrases come unasked, and whether
training rows come back word for word. Answers are kept in `evaluation/probes.jsonl`, so that scoring again needs no
model.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Literal

import msgspec

from locum.progress import Progress, silent
from locum.runtime.protocol import Asked, Sampling
from locum.training.chat_template import Encoded, Renderer
from locum.training.rows import renderable
from locum.types import Message, Row

Kind = Literal["foreign", "train", "held_out"]
Seal = Callable[[str], tuple[str, tuple[str, ...]]]

FOREIGN = (
    "What is the capital of Portugal?",
    "How do I boil an egg?",
    "Write two lines about the rain.",
    "Why is the sky blue?",
    "Tell me a short joke.",
    "What should I pack for the beach?",
    "How many legs does a spider have?",
    "Suggest a name for a grey cat.",
    "What is a good way to learn the piano?",
    "Describe the taste of a lemon.",
    "Who painted sunflowers?",
    "How far away is the moon?",
)
"""Everyday questions that no agent's work holds."""
FOREIGN_TOKENS = 60
PREFIX = 50
"""Tokens of a response that are given, and that must follow (Carlini et al. 2023, arXiv 2202.07646)."""
SHORTEST = 24
"""Tokens of a response that can be probed; of one shorter than 100 the first half is given."""
PROBES = len(FOREIGN)
"""Foreign questions, training rows and held-out rows whose responses are begun, of each at most."""


class Probe(msgspec.Struct, frozen=True, omit_defaults=True):
    """One probe and what the tuned model answered: a line of `evaluation/probes.jsonl`."""

    kind: Kind
    """`foreign`: a question that has nothing to do with the work. `train`, `held_out`: a response of the agent's that
    was begun, out of the training rows or not."""
    text: str
    """What the model wrote."""
    asked: str = ""
    """The foreign question."""
    row: str = ""
    """The row whose response was begun."""
    lineage: str = ""
    begun: str = ""
    """The agent's words that were given."""
    expected: str = ""
    """The agent's words that would follow."""
    leaked: tuple[str, ...] = ()
    """Placeholders of redacted values that the model wrote."""


class Prompt(msgspec.Struct, frozen=True):
    """A probe before it is answered."""

    probe: Probe
    tokens: list[int]
    max_tokens: int


def prompts(
    train: Sequence[Row], held_out: Sequence[Row], renderer: Renderer, seed: int = 0, count: int = PROBES
) -> list[Prompt]:
    """The probes of a run: `FOREIGN` under the held-out rows' own system messages, and responses that are begun.

    Args:
        train: training rows.
        held_out: held-out rows that can be rendered.
        renderer: the base's renderer.
        seed: decides which rows.
        count: how many of each kind, at most.
    """
    draw = random.Random(seed)
    found = []
    questions = FOREIGN[:count] if held_out else ()
    for at, question in enumerate(questions):
        shown = held_out[at * len(held_out) // len(questions)].prompt
        messages = (*(m for m in shown[:1] if m.role == "system"), Message("user", question, origin="human"))
        tokens = renderer.tokens(renderer.prompt_text(messages))
        found.append(Prompt(Probe("foreign", "", asked=question), tokens, FOREIGN_TOKENS))
    begun: tuple[tuple[Kind, Sequence[Row]], ...] = (("train", train), ("held_out", held_out))
    for kind, source in begun:
        drawn = renderable(draw.sample(source, len(source)), renderer)
        fitting = (prompt for row, tokens in drawn if (prompt := _begun(kind, row, tokens, renderer)) is not None)
        found += islice(fitting, count)
    return found


def _begun(kind: Kind, row: Row, encoded: Encoded, renderer: Renderer) -> Prompt | None:
    # The token that ends the turn is not the agent's word.
    length = len(encoded.tokens) - encoded.response_start - 1
    if length < SHORTEST:
        return None
    given = encoded.response_start + min(PREFIX, length // 2)
    after = encoded.tokens[given : min(given + PREFIX, encoded.response_start + length)]
    begun, expected = (
        str(renderer.tokenizer.decode(tokens)) for tokens in (encoded.tokens[encoded.response_start : given], after)
    )
    probe = Probe(kind, "", row=row.id, lineage=row.lineage, begun=begun, expected=expected)
    return Prompt(probe, encoded.tokens[:given], len(after))


def ask(model: Path, asked: Sequence[Prompt], seal: Seal, progress: Progress = silent, at_once: int = 1) -> list[Probe]:
    """Put probes to a model file, greedily.

    Args:
        model: the `.gguf` file.
        asked: the probes.
        seal: a text -> the text without redacted values, and their placeholders.
        progress: told how many are done.
        at_once: probes that are answered at once.

    Raises:
        EngineError: the file does not load.
    """
    from locum.runtime.llamacpp import LlamaCpp  # only here: the gate reads probes where no engine is installed

    found: list[Probe] = []
    if not asked:
        return found
    longest = max(len(prompt.tokens) + prompt.max_tokens for prompt in asked)
    put = [Asked(prompt.tokens, (Sampling(max_tokens=prompt.max_tokens),)) for prompt in asked]
    progress("probe", 0, len(asked))
    with (
        LlamaCpp(model, context=longest + 8, at_once=at_once) as engine,
        closing(engine.complete_all(put)) as completed,
    ):
        for prompt, (answer,) in zip(asked, completed, strict=True):
            text, leaked = seal(answer.text)
            found.append(msgspec.structs.replace(prompt.probe, text=text, leaked=leaked))
            progress("probe", len(found), len(asked))
    return found
