"""Decisions in the same few words: some follow a rule on what the prompt says, some are drawn by chance. By real
training the first fall with steps and with rows, and the second with neither: a plateau, and no forecast."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_models import row, says, user

from locum.dataset.store import encode_row
from locum.evaluation.anatomy.measure import AnatomyOptions, measure
from locum.evaluation.scaling.climb import ScalingOptions, climb
from locum.evaluation.scaling.forecast import Forecast
from locum.training.backend import TrainOptions
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.loop import train
from locum.types import Row, ToolCall

RULE = {
    "replace_item": ("came in pieces", "has a crack", "arrived broken"),
    "refund_order": ("is a week late", "came far too late", "took a month"),
    "open_claim": ("never arrived", "got lost on the way", "is nowhere to be found"),
    "send_label": ("is the wrong colour", "is not what I ordered", "has the wrong size"),
}
"""What the agent does -> what was said."""
KINDS = {"by_rule": "Order W", "by_chance": "Parcel P"}


def decisions(family: str, sessions: range, dice: random.Random) -> Iterator[Row]:
    """One decision a session."""
    for number in sessions:
        right = dice.choice(sorted(RULE))
        name = f"{KINDS[family]}-{dice.randrange(1000, 9999)}"
        thing = dice.choice(("cup", "kettle", "tray", "pot", "tin"))
        tool = right if family == "by_rule" else dice.choice(sorted(RULE))
        yield row(
            user(f"{name}: the {thing} {dice.choice(RULE[right])}."),
            says("", ToolCall("c", tool, {"id": name.split()[1]})),
            session=f"{family}{number}",
            family=family,
            refines="tool_decision",
        )


def ladder(family: str, folder: Path) -> Forecast:
    folder.mkdir()
    dice = random.Random(0)
    for split, sessions in (("train", range(48)), ("valid", range(100, 116)), ("test", range(200, 248))):
        rows = decisions(family, sessions, dice)
        (folder / f"{split}.jsonl").write_bytes(b"".join(encode_row(one) + b"\n" for one in rows))
    options = ScalingOptions(
        fractions=(1 / 8, 1 / 4, 3 / 8, 1 / 2, 1.0), held_out=48, training=TrainOptions(max_steps=20)
    )
    found = climb(folder, "smollm2:135m", options).choices[family]
    print(family, found.rows, found.losses, found.base_rate, found.fall_band, found.gained_band, found.refused)
    return found


@pytest.mark.slow
def test_a_rule_is_told_from_chance(tmp_path: Path) -> None:
    rule, chance = (ladder(family, tmp_path / family) for family in KINDS)
    assert rule.falls
    assert rule.base_rate is not None
    assert rule.losses[-1] < 0.75 * rule.base_rate
    assert not chance.falls
    assert chance.expected is None
    assert any("does not fall" in reason or "base rate" in reason for reason in chance.refused)


@pytest.mark.slow
def test_chance_is_a_plateau_where_a_rule_falls(small_base: Base, tmp_path: Path) -> None:
    dice = random.Random(0)
    rows = {
        split: [one for family in KINDS for one in decisions(family, sessions, dice)]
        for split, sessions in (("train", range(640)), ("valid", range(0)), ("test", range(1000, 1200)))
    }
    (tmp_path / "dataset").mkdir()
    for split, mine in rows.items():
        (tmp_path / "dataset" / f"{split}.jsonl").write_bytes(b"".join(encode_row(one) + b"\n" for one in mine))
    # One pass at a low rate: what is drawn by chance is not learned by heart.
    options = TrainOptions(max_steps=106, patience=0, learning_rate=5e-4)
    train(rows["train"], [], small_base, tmp_path, options)
    looks = AnatomyOptions(rows=400, train_rows=2, strengths=(1.0,))
    found = measure(tmp_path, small_base, Renderer(small_base.folder), looks)
    choices = {part.response.name: part.response for part in found.choices}
    for one in choices.values():
        print(one.name, one.label, one.why, one.losses)
    assert choices["by_rule"].label in ("valley", "slope")
    assert choices["by_chance"].label == "plateau"
