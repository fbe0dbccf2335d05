"""What is scored of held-out rows, planned once and carried out for any model: the same tokens, contexts, options.

    plan = make_plan(rows, encoded, train, renderer, tagger, ...)
    scores = plan.score(scorer, arm="base", model=digest)

Everything that a model is asked goes into one call of its scorer, where what the sequences share is computed once.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np
import polars as pl

from locum.evaluation import nll
from locum.evaluation.decision_slots import Choices, Slot, base_rate, slot_of
from locum.evaluation.donors import match_donors
from locum.evaluation.questions import QUESTION_SCHEMA, Question
from locum.evaluation.token_classes import Facets, Tagger, facets
from locum.evaluation.tokens import Response, pieces, response_of
from locum.progress import Progress, silent
from locum.runtime.scorer import Scorer, TokenScores
from locum.training.chat_template import Encoded, Renderer
from locum.types import Message, Row

Contexts = Literal["own", "all"]


class Scores(msgspec.Struct, frozen=True):
    """What one model makes of a plan."""

    table: pl.DataFrame
    """Of `nll.SCHEMA`."""
    questions: pl.DataFrame
    """Of `questions.QUESTION_SCHEMA`: the two answers to each question."""


class Planned(msgspec.Struct, frozen=True):
    """A row with all that is known of its tokens before a model is asked."""

    row: Row
    encoded: Encoded
    response: Response
    classes: list[str]
    facets: list[Facets]
    slot: Slot | None
    donors: tuple[int, ...]
    """Indices of the rows that lend their prompts; empty where there are too few."""
    prior: float = math.nan
    prior_hit: bool = False

    @property
    def prompt(self) -> list[int]:
        """The prompt's tokens."""
        return self.encoded.tokens[: self.encoded.response_start]

    @property
    def answer(self) -> list[int]:
        """The response's tokens."""
        return self.encoded.tokens[self.encoded.response_start :]


class Plan(msgspec.Struct, frozen=True):
    """Rows, their contexts, options and questions."""

    rows: tuple[Planned, ...]
    questions: tuple[Question, ...]
    none: list[int]
    """The tokens of a prompt that says nothing."""

    def score(
        self,
        scorer: Scorer,
        *,
        arm: str,
        model: str,
        step: int | None = None,
        contexts: Contexts = "all",
        progress: Progress = silent,
    ) -> Scores:
        """Ask one model.

        Args:
            scorer: the model.
            arm: what the table calls it (`base`, `tuned`).
            model: its digest.
            step: of the checkpoint, where it is one.
            contexts: `own` leaves out other rows' prompts, the empty one and the questions.
            progress: told as by `Scorer.score_tokens`.
        """
        asked: list[Encoded] = []
        passes: list[tuple[int, str, str | None, int]] = []
        for index, planned in enumerate(self.rows):
            for context, donor, prompt in self._contexts(planned, contexts):
                passes.append((index, context, donor, len(asked)))
                asked.append(Encoded(prompt + planned.answer, len(prompt)))
        options = {index: self._add_options(planned, asked) for index, planned in enumerate(self.rows)}
        questions = self.questions if contexts == "all" else ()
        places = [[_add(asked, some) for some in question.sides] for question in questions]
        found = scorer.score_tokens(asked, progress, f"score {arm}")
        names = {"arm": arm, "model": model, "step": step}
        tables = [
            _table(self.rows[index], found[at], context, donor, names, [found[o] for o in options[index]])
            for index, context, donor, at in passes
        ]
        asked_of = [
            question.line(names, [[float(found[at].loss.sum(dtype=np.float64)) for at in side] for side in sides])
            for question, sides in zip(questions, places, strict=True)
        ]
        return Scores(nll.together(tables), pl.DataFrame(asked_of, schema=QUESTION_SCHEMA, orient="row"))

    def _contexts(self, planned: Planned, contexts: Contexts) -> list[tuple[str, str | None, list[int]]]:
        own: list[tuple[str, str | None, list[int]]] = [(nll.CONTEXT_OWN, None, planned.prompt)]
        if contexts == "own":
            return own
        lent = [(self.rows[donor].row.id, self.rows[donor].prompt) for donor in planned.donors]
        others = [(nll.context_other(number), donor, prompt) for number, (donor, prompt) in enumerate(lent, start=1)]
        return [*own, *others, (nll.CONTEXT_NONE, None, self.none)]

    def _add_options(self, planned: Planned, asked: list[Encoded]) -> range:
        first = len(asked)
        if planned.slot is not None:
            before = planned.prompt + planned.answer[: planned.slot.start]
            asked += [Encoded([*before, *option.tokens], len(before)) for option in planned.slot.options]
        return range(first, len(asked))


def make_plan(
    rows: Sequence[Row],
    encoded: Mapping[str, Encoded],
    choices: Choices,
    renderer: Renderer,
    tagger: Tagger,
) -> Plan:
    """Settle what is scored of rows; `questions.ask` adds the contrast sets.

    Args:
        rows: held-out rows, every one of them in `encoded`.
        encoded: row id -> tokens.
        choices: what the agent decided in its training rows.
        renderer: the base's.
        tagger: tells tokens apart.
    """
    tokens = [encoded[row.id] for row in rows]
    donors = match_donors(rows, [row.response_start for row in tokens])
    planned = []
    for index, (row, its) in enumerate(zip(rows, tokens, strict=True)):
        response = response_of(row, its, renderer)
        slot = slot_of(row, response, choices, renderer)
        counts: Mapping[str, int] = choices.labels.get(row.family, {})
        planned.append(
            Planned(
                row=row,
                encoded=its,
                response=response,
                classes=tagger.classes(response, row.structure),
                facets=facets(response),
                slot=slot,
                donors=tuple(donors.get(index, ())),
                prior=-math.log(base_rate(counts, slot.labels, slot.label)) if slot else math.nan,
                prior_hit=slot is not None and _commonest(slot, counts) == slot.label,
            )
        )
    none = renderer.tokens(renderer.prompt_text((Message(role="user", content=""),)))
    return Plan(rows=tuple(planned), questions=(), none=none)


def _commonest(slot: Slot, counts: Mapping[str, int]) -> str:
    return max(slot.labels, key=lambda label: counts.get(label, 0))


def _add(asked: list[Encoded], some: Sequence[Encoded]) -> range:
    asked += some
    return range(len(asked) - len(some), len(asked))


def _table(
    planned: Planned,
    scores: TokenScores,
    context: str,
    donor: str | None,
    names: Mapping[str, str | int | None],
    options: Sequence[TokenScores],
) -> pl.DataFrame:
    """The lines of one response in one context."""
    row, response, count = planned.row, planned.response, len(planned.answer)
    columns = {
        "row": row.id,
        "session": row.session,
        "lineage": row.lineage,
        "time": row.time,
        "family": row.family,
        "tier": row.tier,
        **names,
        "context": context,
        "donor": donor,
        "position": np.arange(count, dtype=np.int32),
        "token": np.array(response.tokens, dtype=np.int32),
        "start": np.array([start for start, _ in response.spans], dtype=np.int32),
        "end": np.array([end for _, end in response.spans], dtype=np.int32),
        "text": pieces(response),
        "class": planned.classes,
        "word_initial": [of.word_initial for of in planned.facets],
        "bucket": [of.bucket for of in planned.facets],
        "loss": scores.loss,
        "rank": scores.rank,
    }
    decided: dict[str, list[object]] = {name: [None] * count for name in _DECIDED}
    if planned.slot is not None and context == nll.CONTEXT_OWN:
        for name, value in zip(_DECIDED, _decided(planned, planned.slot, options), strict=True):
            decided[name][planned.slot.start] = value
    return pl.DataFrame(
        {
            name: pl.repeat(value, count, eager=True, dtype=nll.SCHEMA[name])
            if value is None or isinstance(value, str | int)
            else pl.Series(name, value, dtype=nll.SCHEMA[name])
            for name, value in {**columns, **decided}.items()
        }
    )


_DECIDED = ("decision", "options", "format", "choice", "prior", "hit", "prior_hit")


def _decided(planned: Planned, slot: Slot, options: Sequence[TokenScores]) -> tuple[object, ...]:
    log_probability: dict[str, float] = {}
    for option, scores in zip(slot.options, options, strict=True):
        whole = -float(scores.loss.sum(dtype=np.float64))
        log_probability[option.label] = float(np.logaddexp(log_probability.get(option.label, -math.inf), whole))
    all_ = float(np.logaddexp.reduce(list(log_probability.values())))
    likeliest = max(sorted(log_probability), key=log_probability.__getitem__)
    return (
        slot.label,
        len(log_probability),
        -all_,
        all_ - log_probability[slot.label],
        planned.prior,
        likeliest == slot.label,
        planned.prior_hit,
    )
