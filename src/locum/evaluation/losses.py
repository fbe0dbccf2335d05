"""Held-out rows to the tables of losses: the plan, and every model asked in turn, one in memory at a time."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from locum import files
from locum.dataset.contrast import Contrast
from locum.evaluation import nll
from locum.evaluation.answers import inventory_of
from locum.evaluation.contrasts import ask
from locum.evaluation.decision_slots import learn_choices
from locum.evaluation.lexicons import with_added, words
from locum.evaluation.questions import QUESTION_SCHEMA
from locum.evaluation.scoring import Plan, make_plan
from locum.evaluation.token_classes import Tagger
from locum.evaluation.vocabulary import domain_vocabulary, word_ranks
from locum.progress import Progress, silent
from locum.runtime.scorer import Scorer
from locum.settings import Lexicons
from locum.training.chat_template import Encoded, Renderer
from locum.types import Row


class Model(msgspec.Struct, frozen=True):
    """A model file and the folder that holds its config."""

    file: Path
    folder: Path


class Tables(msgspec.Struct, frozen=True):
    """All that was asked, of all models."""

    table: pl.DataFrame
    """Of `nll.SCHEMA`."""
    questions: pl.DataFrame
    """Of `questions.QUESTION_SCHEMA`."""
    token_forwards: dict[str, int]
    """Arm -> tokens computed."""


def plan_rows(
    rows: Sequence[Row],
    encoded: Mapping[str, Encoded],
    train: Sequence[Row],
    contrasts: Sequence[Contrast],
    renderer: Renderer,
    lexicons: Lexicons | None = None,
) -> Plan:
    """Settle what is scored: tokens and their classes, donors, options, questions.

    Args:
        rows: held-out rows, every one of them in `encoded`.
        encoded: row id -> tokens.
        train: the training rows: the agent's base rates, phrases and vocabulary.
        contrasts: what the agent took back, of any split.
        renderer: the base's.
        lexicons: the user's own words.
    """
    lists = with_added(lexicons or Lexicons())
    ranks = word_ranks(renderer.tokenizer.get_vocab())
    domain = domain_vocabulary(train, ranks, frozenset(words(" ".join((*lists.function_word, *lists.qualifier)))))
    tagger = Tagger(lists, domain, inventory_of([*train, *rows]))
    choices = learn_choices(train)
    return ask(make_plan(rows, encoded, choices, renderer, tagger), choices, contrasts, renderer)


def score_rows(plan: Plan, models: Mapping[str, Model], progress: Progress = silent) -> Tables:
    """Ask every model, arm by arm.

    Raises:
        EngineError: a model file does not load.
    """
    tables, questions, forwards = [nll.empty()], [pl.DataFrame(schema=QUESTION_SCHEMA)], {}
    for arm, model in models.items() if plan.rows else ():
        with Scorer(model.file, model.folder) as scorer:
            scores = plan.score(scorer, arm=arm, model=files.sha256_file(model.file), progress=progress)
            forwards[arm] = scorer.tokens_computed
        tables.append(scores.table)
        questions.append(scores.questions)
    return Tables(nll.together(tables), pl.concat(questions), forwards)


def own_losses(table: pl.DataFrame, arm: str, rows: Sequence[Row]) -> list[npt.NDArray[np.float32]]:
    """The losses of each row's response in its own context, in the order of the rows."""
    mine = table.filter((pl.col("arm") == arm) & (pl.col("context") == nll.CONTEXT_OWN)).sort("position")
    by_row = {str(row): part["loss"].to_numpy() for (row,), part in mine.group_by("row", maintain_order=True)}
    return [by_row[row.id] for row in rows]
