"""The first rung that is not worse is taken, and what a rung costs is measured on held-out rows."""

from pathlib import Path

import pytest
from small_models import LOOKUP, lookup, many_rows, row, says, user

from locum.errors import TrainingError
from locum.evaluation import quant_ladder
from locum.evaluation.quant_ladder import climb
from locum.export.gguf_file import write_gguf
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.types import Row

pytestmark = pytest.mark.usefixtures("float32")
ROWS = [
    *many_rows(),
    *(row(user(f"Look {n}."), says("", lookup(f"W-{n}")), session=f"t{n}", family="tool_decision", tools=[LOOKUP])
      for n in range(3)),
]  # fmt: skip


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights answer nothing right, however long they go on."""
    monkeypatch.setattr(quant_ladder, "_LONGEST", 4)
    monkeypatch.setattr(quant_ladder, "_ASKED_ROWS", 3)


class Writer:
    """Writes the tiny base, and remembers in which types."""

    def __init__(self, base: Base, renderer: Renderer, as_if: dict[str, str] | None = None) -> None:
        self.base, self.renderer, self.as_if, self.written = base, renderer, as_if or {}, list[str]()

    def __call__(self, file: Path, kind: str) -> None:
        self.written.append(kind)
        write_gguf(self.base.folder, self.base, self.renderer, file, self.as_if.get(kind, kind), "m")


def test_it_climbs_until_a_rung_holds(
    tiny_base: Base, tiny_renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tiny model's weights are wide, so four bits cost it much; the second rung is full precision in disguise.
    monkeypatch.setattr(quant_ladder, "RUNGS", ("Q4_0", "Q8_0", "Q6_K"))
    write = Writer(tiny_base, tiny_renderer, {"Q8_0": "F32"})
    found = climb(tiny_base.folder, tiny_renderer, ROWS, write, tmp_path)
    assert write.written == ["F16", "Q4_0", "Q8_0"], "what is above the first that holds is not tried"
    assert found.chosen == "Q8_0"
    worse, holds = found.rungs
    assert (worse.holds, holds.holds) == (False, True)
    assert worse.bytes < holds.bytes
    assert worse.loss.high > 0.02 > holds.loss.high
    assert abs(holds.loss.estimate) < 1e-3
    assert worse.decisions == holds.decisions == 3
    assert list(tmp_path.iterdir()) == [], "no file that was tried is left"


def test_where_no_rung_holds_the_file_is_half_precision(
    tiny_base: Base, tiny_renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quant_ladder, "RUNGS", ("Q4_0",))
    found = climb(tiny_base.folder, tiny_renderer, ROWS, Writer(tiny_base, tiny_renderer), tmp_path)
    assert (found.chosen, len(found.rungs)) == ("F16", 1)


def test_without_held_out_rows_it_is_refused(tiny_base: Base, tiny_renderer: Renderer, tmp_path: Path) -> None:
    none: list[Row] = []
    with pytest.raises(TrainingError, match="no held-out row"):
        climb(tiny_base.folder, tiny_renderer, none, Writer(tiny_base, tiny_renderer), tmp_path)
