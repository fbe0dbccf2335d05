"""Next-token log-probabilities of an engine that tells tokens as text, held against those of weights in torch."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from locum.errors import NotShownError
from locum.export.log_probabilities import LogprobAgreement
from locum.runtime.protocol import Likely
from locum.training.chat_template import Renderer

_DEEP = 64
"""How far down the weights' own list a token is looked for."""


def agreement_by_text(
    served: Sequence[Sequence[Likely]], expected: Sequence[Mapping[str, float]], bound: float
) -> LogprobAgreement:
    """How far an engine's likeliest next tokens are from what is expected of the same texts.

    A token that is not expected at all counts with the distance to the least likely one that is: it is at least that
    far off. Tokens that are no whole character, and control tokens that an engine shows as nothing, are left out.

    Args:
        served: the engine's likeliest tokens after each prompt.
        expected: text -> log-probability after the same prompts (`texts_of`).
        bound: what the mean may be, in nats.

    Raises:
        NotShownError: there is no token that can be compared.
    """
    values = []
    for likely, known in zip(served, expected, strict=True):
        least = min(known.values(), default=0.0)
        values += [
            abs(one.logprob - known[one.text]) if one.text in known else max(0.0, one.logprob - least)
            for one in likely
            if one.text and "\ufffd" not in one.text
        ]
    if not values:
        raise NotShownError("none of the tokens whose log-probabilities are given is a whole character")
    return LogprobAgreement(
        prompts=len(served),
        tokens=len(values),
        mean_abs_difference=float(np.mean(values)),
        max_abs_difference=float(max(values)),
        bound=bound,
    )


def texts_of(log_probabilities: npt.NDArray[np.float32], text: Callable[[int], str]) -> dict[str, float]:
    """The likeliest next tokens by their texts; of two tokens with one text, the likelier.

    Args:
        log_probabilities: float32 [vocabulary].
        text: what a token adds to a text (`token_text`).
    """
    deepest = np.argsort(-log_probabilities)[:_DEEP]
    found: dict[str, float] = {}
    for token in deepest:
        found.setdefault(text(int(token)), float(log_probabilities[token]))
    return found


def token_text(renderer: Renderer) -> Callable[[int], str]:
    """What a token adds to a text: some tokenizers drop the space before a text's first word, so none comes first."""
    tokenizer = renderer.tokenizer
    before = renderer.tokens("a")[-1:]
    length = len(tokenizer.decode(before))

    def text(token: int) -> str:
        return str(tokenizer.decode([*before, token]))[length:]

    return text
