"""A run trains, saves what PEFT loads, resumes to the same bytes, and refuses what must not be trained through."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from small_models import TEMPLATE, damage_config, many_rows, row, says, user, write_tiny_base

from locum import files
from locum.errors import BaseError, TrainingError
from locum.training import loop
from locum.training.backend import LoraShape, Metric, TrainOptions, TrainResult
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.device import Device
from locum.training.load import load_model
from locum.training.loop import train
from locum.training.lora import LoraLinear, add_lora, load_adapter_state, read_shape
from locum.training.loss import split_by_row, target_losses
from locum.training.packing import TokenSequence, chain
from locum.types import Row

pytestmark = [
    pytest.mark.usefixtures("float32"),
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]
OPTIONS = TrainOptions(shape=LoraShape(rank=4, alpha=8), max_steps=8, pack_tokens=256, patience=99, learning_rate=5e-3)


@pytest.fixture
def valid() -> list[Row]:
    return [row(user("Is it late again?"), says("Yes."), session="v"), row(user("Post?"), says("No."), session="w")]


@pytest.fixture
def other_base(tiny_base: Base, tmp_path: Path) -> Base:
    """A copy of the tiny base that a test may damage."""
    shutil.copytree(tiny_base.folder, tmp_path / "other")
    return Base(name="other", folder=tmp_path / "other")


def metrics(run: Path) -> list[Metric]:
    return files.read_jsonl(run / "metrics.jsonl", Metric)


def losses(run: Path) -> list[tuple[int, int, float | None, float | None]]:
    """The curve without its seconds, which no two runs share."""
    return [(m.step, m.tokens, m.train_loss, m.valid_loss) for m in metrics(run)]


def weights(run: Path) -> bytes:
    return (run / "adapter" / "adapter_model.safetensors").read_bytes()


def adapted(base: Base, run: Path) -> tuple[Any, dict[str, LoraLinear]]:
    """The base with the adapter that a run saved."""
    from safetensors.torch import load_file

    model = load_model(base.folder, Device("cpu", "float32"))
    layers = add_lora(model, OPTIONS.shape, seed=0)
    load_adapter_state(layers, load_file(run / "adapter" / "adapter_model.safetensors"))
    return model, layers


# --- the curve


def test_training_lowers_both_losses_and_writes_the_curve(
    tiny_base: Base, rows: list[Row], valid: list[Row], tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []

    def watch(work: str, done: int, total: int, note: str = "") -> None:
        seen.append((done, total))

    options = msgspec.structs.replace(OPTIONS, max_steps=30)
    found = train(rows, [*valid, rows[0]], tiny_base, tmp_path, options, watch)
    curve = metrics(tmp_path)
    assert [m.step for m in curve] == list(range(31))
    assert curve[0].train_loss is None
    assert all(m.train_loss is not None for m in curve[1:])
    held_out = {m.step: m.valid_loss for m in curve if m.valid_loss is not None}
    assert {0, 30} <= held_out.keys()
    assert found.valid_first == held_out[0]
    assert found.valid_best == min(held_out.values()) == held_out[found.best_step]
    assert found.valid_best < held_out[0] - 0.1
    assert found.train_last < found.train_first - 0.5
    assert (found.steps, found.rows, found.skipped) == (30, len(rows), ())
    assert (found.device, found.dtype) == ("cpu", "float32")
    assert seen[-1] == (30, 30)
    assert not (tmp_path / ".training").exists()


def test_what_is_kept_is_the_best_look_and_patience_ends_the_run(
    tiny_base: Base, rows: list[Row], tmp_path: Path
) -> None:
    """At a rate far too high the loss soon rises; the adapter written is that of the best look, not the last."""
    wild = msgspec.structs.replace(OPTIONS, learning_rate=0.1, max_steps=40, patience=2)
    found = train(rows, rows[:2], tiny_base, tmp_path, wild)
    held_out = {m.step: m.valid_loss for m in metrics(tmp_path) if m.valid_loss is not None}
    looks = sorted(held_out)
    assert held_out[found.best_step] == min(held_out.values()) == found.valid_best
    assert looks.index(found.best_step) == len(looks) - 3, "two looks without a better one end it"
    assert found.steps == looks[-1] < 40
    model, _ = adapted(tiny_base, tmp_path)
    sequences = chain([Renderer(tiny_base.folder).encode(row) for row in rows[:2]])
    with torch.no_grad():
        assert float(target_losses(model, sequences).mean()) == pytest.approx(found.valid_best, abs=1e-4)
    assert abs(held_out[looks[-1]] - found.valid_best) > 0.01


def test_the_seed_decides_everything(tiny_base: Base, rows: list[Row], tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        train(rows, [], tiny_base, tmp_path / name, msgspec.structs.replace(OPTIONS, max_steps=3, seed=seed))
    assert losses(tmp_path / "one") == losses(tmp_path / "again")
    assert weights(tmp_path / "one") == weights(tmp_path / "again")
    assert losses(tmp_path / "one") != losses(tmp_path / "two")


# --- the adapter's files


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_peft_loads_the_adapter_and_says_the_same(tiny_base: Base, rows: list[Row], tmp_path: Path) -> None:
    import peft
    from transformers import AutoModelForCausalLM

    train(rows, [], tiny_base, tmp_path, OPTIONS)
    ids = torch.tensor([Renderer(tiny_base.folder).encode(rows[1]).tokens])
    plain = AutoModelForCausalLM.from_pretrained(tiny_base.folder, dtype=torch.float32)
    without = plain(input_ids=ids).logits.detach()
    theirs = peft.PeftModel.from_pretrained(plain, str(tmp_path / "adapter")).eval()
    ours, _ = adapted(tiny_base, tmp_path)
    with torch.no_grad():
        expected = theirs(input_ids=ids).logits
        torch.testing.assert_close(ours(input_ids=ids, use_cache=False).logits, expected, atol=1e-5, rtol=1e-5)
    assert (expected - without).abs().max() > 0.1, "the adapter does something"


# --- resuming


class _Stop:
    """A `Progress` that ends the process, as Ctrl-C does, when training shows this step."""

    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self, work: str, done: int, total: int, note: str = "") -> None:
        if work == "train" and done == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("held_out", [True, False], ids=["with held-out rows", "without"])
def test_an_interrupted_run_ends_in_the_same_bytes(
    tiny_base: Base,
    rows: list[Row],
    valid: list[Row],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    held_out: bool,
) -> None:
    looked_at = valid if held_out else []
    train(rows, looked_at, tiny_base, tmp_path / "whole", OPTIONS)
    monkeypatch.setattr(loop, "_SAVE_SECONDS", -1.0)
    for step in (3, 6):
        with pytest.raises(KeyboardInterrupt):
            train(rows, looked_at, tiny_base, tmp_path / "cut", OPTIONS, _Stop(step))
        assert not (tmp_path / "cut" / "adapter").exists(), "half a run leaves no adapter"
    taken: list[int] = []
    result = train(
        rows,
        looked_at,
        tiny_base,
        tmp_path / "cut",
        OPTIONS,
        lambda work, done, total, note="": taken.append(done),
    )
    assert taken[0] == 6, "it went on from the checkpoint of step 5"
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert result.steps == 8


def test_an_interrupted_run_remembers_the_best_adapter(
    tiny_base: Base, rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best look may lie before the checkpoint; what is kept is neither the checkpoint's nor the last adapter."""
    wild = msgspec.structs.replace(OPTIONS, learning_rate=0.1, max_steps=40, patience=2)
    whole = train(rows, rows[:2], tiny_base, tmp_path / "whole", wild)
    monkeypatch.setattr(loop, "_SAVE_SECONDS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        train(rows, rows[:2], tiny_base, tmp_path / "cut", wild, _Stop(whole.steps - 1))
    assert whole.best_step < whole.steps - 2
    again = train(rows, rows[:2], tiny_base, tmp_path / "cut", wild)
    assert (again.best_step, again.steps) == (whole.best_step, whole.steps)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_a_checkpoint_of_another_request_is_not_gone_on_with(
    tiny_base: Base, rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_SAVE_SECONDS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        train(rows, [], tiny_base, tmp_path / "run", OPTIONS, _Stop(5))
    other = msgspec.structs.replace(OPTIONS, learning_rate=1e-3)
    train(rows, [], tiny_base, tmp_path / "run", other)
    train(rows, [], tiny_base, tmp_path / "fresh", other)
    assert weights(tmp_path / "run") == weights(tmp_path / "fresh")


# --- refusals


def refuse(attempt: Callable[[], TrainResult], run: Path, *words: str) -> None:
    with pytest.raises(TrainingError) as refused:
        attempt()
    assert "\n" not in str(refused.value)
    for word in words:
        assert word in str(refused.value)
    assert not (run / "adapter").exists()
    assert not (run / "metrics.jsonl").exists()


def test_nothing_to_train_on(tiny_base: Base, valid: list[Row], tmp_path: Path) -> None:
    refuse(lambda: train([], valid, tiny_base, tmp_path), tmp_path, "train split is empty")


def test_a_row_longer_than_the_base_can_see(other_base: Base, rows: list[Row], tmp_path: Path) -> None:
    damage_config(other_base.folder, max_position_embeddings=200)
    too_long = [r for r in rows if len(Renderer(other_base.folder).encode(r).tokens) > 200]
    assert len(too_long) == 3
    run = tmp_path / "run"
    first = too_long[0]
    refuse(
        lambda: train(rows, [], other_base, run, OPTIONS),
        run,
        first.id[:12],
        f"session {first.session}, turn {first.turn}",
        "200",
        "--skip-bad",
    )
    skipping = msgspec.structs.replace(OPTIONS, skip_bad=True, max_steps=2)
    found = train(rows, [], other_base, run, skipping)
    assert found.rows == len(rows) - 3
    assert [
        name for line, name in zip(found.skipped, (r.id[:12] for r in too_long), strict=True) if name not in line
    ] == []


def test_every_row_left_out(other_base: Base, rows: list[Row], tmp_path: Path) -> None:
    damage_config(other_base.folder, max_position_embeddings=20)
    skipping = msgspec.structs.replace(OPTIONS, skip_bad=True)
    run = tmp_path / "run"
    refuse(lambda: train(rows, [], other_base, run, skipping), run, "every row was left out", rows[0].id[:12])


@pytest.mark.parametrize("held_out", [True, False])
def test_a_loss_that_is_no_number_writes_nothing(
    other_base: Base, rows: list[Row], valid: list[Row], tmp_path: Path, held_out: bool
) -> None:
    from safetensors.torch import load_file, save_file

    path = other_base.folder / "model.safetensors"
    state: dict[str, Any] = load_file(path)
    state["model.layers.1.mlp.up_proj.weight"][5, 5] = float("nan")
    save_file(state, path, metadata={"format": "pt"})
    run = tmp_path / "run"
    refuse(lambda: train(rows, valid if held_out else [], other_base, run, OPTIONS), run, "nan", "step 1")


def test_a_loss_that_is_no_number_names_its_row(
    tiny_base: Base, rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = target_losses

    def broken(model: Any, batch: list[TokenSequence]) -> torch.Tensor:
        losses = honest(model, batch).clone()
        for place, nats in split_by_row(batch, losses):
            if place == 4:
                nats.data[-1] = float("inf")
        return losses

    monkeypatch.setattr(loop, "target_losses", broken)
    whole = msgspec.structs.replace(OPTIONS, pack_tokens=10_000)
    with pytest.raises(TrainingError, match="inf at step 1") as refused:
        train(rows, [], tiny_base, tmp_path, whole)
    assert rows[4].id[:12] in str(refused.value)
    assert rows[3].id[:12] not in str(refused.value)


def test_a_gradient_that_is_no_number_changes_nothing(
    tiny_base: Base, rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss itself may still be a number."""
    honest = target_losses

    def broken(model: Any, batch: list[TokenSequence]) -> torch.Tensor:
        losses = honest(model, batch)
        if losses.requires_grad:
            losses.register_hook(lambda gradient: gradient * float("nan"))
        return losses

    monkeypatch.setattr(loop, "target_losses", broken)
    refuse(lambda: train(rows[:1], [], tiny_base, tmp_path, OPTIONS), tmp_path, "gradient", "nan", rows[0].id[:12])


def test_a_response_that_was_cut_off(tiny_base: Base, rows: list[Row], tmp_path: Path) -> None:
    said = msgspec.structs.replace(says("It is"), signals=("truncated",))
    cut = row(user("Is it late?"), said, session="cut")
    refuse(lambda: train([*rows, cut], [], tiny_base, tmp_path), tmp_path, cut.id[:12], "cut off", "--skip-bad")
    skipping = msgspec.structs.replace(OPTIONS, skip_bad=True, max_steps=1)
    found = train([*rows, cut], [cut], tiny_base, tmp_path, skipping)
    assert found.rows == len(rows)
    assert [cut.id[:12] in line for line in found.skipped] == [True, True]


def test_a_row_that_the_template_cannot_render(tmp_path: Path, rows: list[Row]) -> None:
    folder, run = tmp_path / "base", tmp_path / "run"
    folder.mkdir()
    strict = "{% for m in messages if 'Why is that' in m['content'] %}{{ raise_exception('no whys') }}{% endfor %}"
    write_tiny_base(folder, template="{# tools tool_calls #}" + strict + TEMPLATE)
    base = Base(name="strict", folder=folder)
    asking = next(r for r in rows if any("Why is that" in message.content for message in r.messages))
    refuse(lambda: train(rows, [], base, run, OPTIONS), run, asking.id[:12], "no whys", "--skip-bad")


def test_patience_of_none_takes_every_step(tiny_base: Base, rows: list[Row], tmp_path: Path) -> None:
    """At a rate far too high the held-out loss rises for long; what is kept is the best look all the same."""
    stubborn = msgspec.structs.replace(OPTIONS, learning_rate=0.1, max_steps=40, patience=0)
    found = train(rows, rows[:2], tiny_base, tmp_path, stubborn)
    assert found.steps == 40
    assert found.best_step < 40


def test_a_template_that_rewrites_its_prompt(tmp_path: Path, rows: list[Row]) -> None:
    """What was asked last is written otherwise than what was asked before; the renderer's own probe cannot see it."""
    folder, run = tmp_path / "base", tmp_path / "run"
    folder.mkdir()
    rewriting = TEMPLATE.replace(
        "+ message['content'] +", "+ (message['content'] | upper if loop.last else message['content'] | lower) +"
    )
    assert rewriting != TEMPLATE
    # A template that knows tools is used as it is.
    write_tiny_base(folder, template="{# tools tool_calls #}" + rewriting)
    base = Base(name="rewriting", folder=folder)
    plain = [r for r in rows if not r.tools]
    refuse(lambda: train(plain, [], base, run, OPTIONS), run, plain[0].id[:12], "differently", "--skip-bad")


def test_a_template_that_opens_the_turn_with_what_the_answer_lacks(tmp_path: Path, rows: list[Row]) -> None:
    """As those of reasoning models do."""
    thinking = TEMPLATE.replace("assistant\n' }}", "assistant\n<think>\n' }}")
    assert thinking != TEMPLATE
    write_tiny_base(tmp_path, template="{# tools tool_calls #}" + thinking)
    with pytest.raises(BaseError, match="differently once it is answered"):
        Renderer(tmp_path)


def test_a_response_of_nothing(tiny_base: Base, tmp_path: Path) -> None:
    empty = row(user("Say nothing"), says(""))
    refuse(lambda: train([*many_rows(), empty], [], tiny_base, tmp_path), tmp_path, empty.id[:12], "empty")


def test_a_post_that_answers_nobody_is_learned_after_an_empty_question(tiny_base: Base, tmp_path: Path) -> None:
    renderer = Renderer(tiny_base.folder)
    alone, asked = row(says("Good morning.")), row(user(""), says("Good morning."))
    assert renderer.encode(alone) == renderer.encode(asked)
    assert renderer.prompt_text(()) == renderer.prompt_text((user(""),))
    assert train([alone] * 3, [], tiny_base, tmp_path, TrainOptions(epochs=1)).rows == 3


# --- strength


@pytest.mark.parametrize("strength", [0.25, 0.7, 2.0])
def test_the_adapter_is_written_at_the_strength_that_was_asked_for(
    tiny_base: Base, tiny_renderer: Renderer, rows: list[Row], tmp_path: Path, strength: float
) -> None:
    """Logits of whoever loads it are those of the base with so many times the trained update."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from locum.export.fuse import fuse

    shape = msgspec.structs.replace(OPTIONS.shape, strength=strength)
    train(rows, [], tiny_base, tmp_path / "plain", OPTIONS)
    train(rows, [], tiny_base, tmp_path / "dialled", msgspec.structs.replace(OPTIONS, shape=shape))
    trained, layers = adapted(tiny_base, tmp_path / "plain")
    for layer in layers.values():
        layer.scale *= strength
    ids = torch.tensor([tiny_renderer.encode(rows[1]).tokens])
    fuse(tiny_base, tmp_path / "dialled" / "adapter", tmp_path / "fused", tiny_renderer)
    base = AutoModelForCausalLM.from_pretrained(tiny_base.folder, dtype=torch.float32, attn_implementation="eager")
    loaded = PeftModel.from_pretrained(base, str(tmp_path / "dialled" / "adapter")).eval()
    fused = AutoModelForCausalLM.from_pretrained(tmp_path / "fused", dtype=torch.float32, attn_implementation="eager")
    trained.set_attn_implementation("eager")
    with torch.no_grad():
        expected = trained(input_ids=ids, use_cache=False).logits
        for layer in layers.values():
            layer.scale /= strength
        assert not torch.allclose(expected, trained(input_ids=ids, use_cache=False).logits, atol=1e-3)
        for one in (loaded, fused.eval()):
            torch.testing.assert_close(one(input_ids=ids, use_cache=False).logits, expected, atol=2e-4, rtol=1e-4)
    # Training went the same way, and the anatomy of the run sees it as it went.
    found = read_shape(tmp_path / "dialled" / "adapter")
    assert found == shape
    assert read_shape(tmp_path / "plain" / "adapter") == OPTIONS.shape
    assert losses(tmp_path / "plain") == losses(tmp_path / "dialled")


def test_the_model_is_handed_over_with_the_kept_adapter_on_it(
    tiny_base: Base, rows: list[Row], valid: list[Row], tmp_path: Path
) -> None:
    held: list[torch.Tensor] = []
    ids = torch.tensor([[5, 9, 11, 40]])

    def use(model: Any) -> None:
        with torch.no_grad():
            model.set_attn_implementation("eager")
            held.append(model(input_ids=ids, use_cache=False).logits)

    train(rows, valid, tiny_base, tmp_path, OPTIONS, use=use)
    model, _ = adapted(tiny_base, tmp_path)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        torch.testing.assert_close(held[0], model(input_ids=ids, use_cache=False).logits)


def test_a_rank_above_that_of_every_weight_is_refused(tiny_base: Base, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"--rank 5000 is more than the \d+ that any weight of the base has"):
        train(many_rows(), [], tiny_base, tmp_path, TrainOptions(shape=LoraShape(rank=5000, alpha=10_000)))
    assert not (tmp_path / "adapter").exists()
