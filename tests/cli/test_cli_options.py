"""The command line states the rooms' defaults again, so as not to import them: here they are held together."""

import inspect

import pytest
import typer

from locum.cli import options
from locum.cli.train import train
from locum.dataset.build import Options
from locum.evaluation.evaluate import EvaluateOptions
from locum.export.quantize import QUANTIZATIONS
from locum.training.backend import TrainOptions
from locum.training.base import ALIASES
from locum.training.trackers import TRACKERS


def test_defaults_are_those_of_the_rooms() -> None:
    trained = TrainOptions()
    assert trained.epochs == options.DEFAULT_EPOCHS
    assert trained.learning_rate == options.DEFAULT_LEARNING_RATE
    assert trained.patience == options.DEFAULT_PATIENCE
    assert trained.shape.top is options.top_layers(options.DEFAULT_LAYERS) is None
    assert inspect.signature(train).parameters["rank"].default == trained.shape.rank
    assert trained.shape.alpha == 2 * trained.shape.rank
    assert Options().context_chars == options.DEFAULT_CONTEXT
    assert EvaluateOptions().rows == options.DEFAULT_EVAL_ROWS


def test_choices_are_those_of_the_rooms() -> None:
    assert set(options.QUANTIZATIONS) == set(QUANTIZATIONS)
    assert options.DEFAULT_QUANT in QUANTIZATIONS
    assert options.DEFAULT_BASE in ALIASES
    assert set(options.TRACKERS) == set(TRACKERS)


def test_layers_are_all_or_so_many_at_the_top() -> None:
    assert options.top_layers("all") is None
    assert options.top_layers("top:16") == 16
    for wrong in ("top", "top:", "top:0", "top:-1", "top:x", "16", "bottom:3", "all:3", ""):
        with pytest.raises(typer.BadParameter, match="neither all nor top:K"):
            options.top_layers(wrong)
