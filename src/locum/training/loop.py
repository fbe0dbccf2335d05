"""The training loop: rows and a base in, an adapter and its curve out.

Reads nothing but its arguments; writes `adapter/` and `metrics.jsonl` into the run folder, and keeps what it needs
to go on after a kill in `.training/` until then. The order of the data depends on the seed alone, so a resumed run
takes the same steps as one that was never stopped.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import torch

from locum import files
from locum.errors import TrainingError
from locum.progress import Progress, silent
from locum.training import captured, checkpoints, schedule
from locum.training.activations import Boundary
from locum.training.backend import Metric, TrainOptions, TrainResult
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.device import Device, best_device
from locum.training.heap import steady_heap
from locum.training.load import context_length, load_model
from locum.training.lora import adapter_state, add_lora, load_adapter_state, save_adapter
from locum.training.loss import split_by_row, target_losses
from locum.training.packing import TokenSequence, chain, pack
from locum.training.recipe import OPTIONS
from locum.training.rows import encode_rows
from locum.training.team import Alone, Team, share
from locum.types import Row


def train(
    train_rows: Sequence[Row],
    valid_rows: Sequence[Row],
    base: Base,
    run: Path,
    options: TrainOptions | None = None,
    progress: Progress = silent,
    *,
    observe: Callable[[Metric], None] = lambda metric: None,
    use: Callable[[Any], None] = lambda model: None,
    team: Team | None = None,
    device: Device | None = None,
) -> TrainResult:
    """Train an adapter for `base` and write it into `run`: the backend for this computer.

    Args:
        train_rows, valid_rows, base, run, options, progress, observe: as `Backend`.
        use: given the model in torch with the kept adapter on it, as trained, before its memory is freed: what is
            to be done with it at once need not load it again.
        team: who shares the steps; nobody where None.
        device: where to compute and how precisely; the best there is where None.

    Raises:
        TrainingError: as `Backend`.
    """
    options = options or TrainOptions()
    training = _Training(train_rows, valid_rows, base, run, options, progress)
    result = training.run(observe, team or Alone(), device or best_device())
    load_adapter_state(training.layers, training.best)
    use(training.model)
    return result


def planned(rows: Sequence[Row], base: Base, options: TrainOptions) -> tuple[int, int]:
    """How many steps, of how many tokens in all, `train` would take, if held-out loss did not end it earlier.

    Raises:
        TrainingError: a row that must not be trained on.
    """
    encoded = encode_rows(rows, Renderer(base.folder), context_length(base.folder), options.skip_bad).encoded
    steps = schedule.plan(chain(encoded), options.pack_tokens, options.epochs, options.max_steps, options.seed)
    return len(steps), schedule.planned_tokens(steps)


class _State(msgspec.Struct):
    """How far a run is; together with adapter and optimiser this is all that a resumed run needs."""

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    best_step: int = 0
    best_loss: float = math.inf
    looks_since_best: int = 0
    train_first: float | None = None
    metrics: list[Metric] = []


class _Training:
    def __init__(
        self,
        train_rows: Sequence[Row],
        valid_rows: Sequence[Row],
        base: Base,
        run: Path,
        options: TrainOptions,
        progress: Progress,
    ) -> None:
        if not train_rows:
            raise TrainingError("there is no row to train on: the dataset's train split is empty; add sessions")
        self.options, self.base, self.out, self.progress = options, base, run, progress
        self.work = run / ".training"
        renderer, limit = Renderer(base.folder), context_length(base.folder)
        training = encode_rows(train_rows, renderer, limit, options.skip_bad)
        held_out = encode_rows(valid_rows, renderer, limit, options.skip_bad)
        self.names, self.skipped = training.names, [*training.skipped, *held_out.skipped]
        self.sequences = chain(training.encoded)
        if not self.sequences:
            raise TrainingError(f"every row was left out; the first because: {self.skipped[0]}")
        self.fingerprint = files.digest(
            [[row.id for row in train_rows], [row.id for row in valid_rows], str(base.folder), options]
        )
        self.plan = schedule.plan(self.sequences, options.pack_tokens, options.epochs, options.max_steps, options.seed)
        self.valid = schedule.look_at(chain(held_out.encoded), schedule.planned_tokens(self.plan), options.seed)
        # Their loss before and after training is what `train_first` and `train_last` are.
        self.probe = schedule.look_at(self.sequences, 0, options.seed)
        self.boundary: Boundary | None = None

    def run(self, observe: Callable[[Metric], None], team: Team, device: Device) -> TrainResult:
        self.observe, self.team, self.device = observe, team, device
        torch.manual_seed(self.options.seed)
        self.model = load_model(self.base.folder, team.loads_on(device))
        self.layers = add_lora(self.model, self.options.shape, self.options.seed)
        parameters = [p for layer in self.layers.values() for p in (layer.lora_a, layer.lora_b)]
        self.objective = self.team.join(self.model, self._share_of, device)
        optimizer = torch.optim.AdamW(parameters, lr=self.options.learning_rate, weight_decay=0.0, fused=True)
        with steady_heap():
            return self._run(optimizer, parameters)

    def _run(self, optimizer: torch.optim.Optimizer, parameters: list[torch.nn.Parameter]) -> TrainResult:
        state, self.best = self._resume(optimizer)
        for metric in state.metrics:
            self.observe(metric)
        started = time.monotonic() - state.seconds
        saved = time.monotonic()
        self._keep_lower_layers()
        if self.device.name == "cuda" and self.team.size == 1 and self.boundary is None:
            steps = len(self.plan)
            self.objective = captured.on_cuda(self.model, lambda why: self.progress("train", state.step, steps, why))
        looks, kept = schedule.look_steps(self.plan, self.valid), checkpoints.checkpoint_steps(len(self.plan))
        if state.train_first is None:
            state.train_first = self._loss(self.probe)
        if state.step == 0:
            self._begin_checkpoints()
            if self.valid and not state.metrics:
                self._look(state, None, started)
        while state.step < len(self.plan) and not 0 < self.options.patience <= state.looks_since_best:
            loss = self._step(self.plan[state.step], state.step, optimizer, parameters)
            state.step += 1
            state.tokens += schedule.tokens(self.plan[state.step - 1])
            state.seconds = time.monotonic() - started
            if state.step in kept:
                self._save_checkpoint(state.step)
            if self.valid and state.step in looks:
                self._look(state, loss, started)
            else:
                self._note(state, Metric(state.step, state.seconds, state.tokens, loss, None))
            self._show(state)
            if self.team.rank == 0 and time.monotonic() - saved > _SAVE_SECONDS:
                self._save(state, optimizer)
                saved = time.monotonic()
        train_last = self._loss(self.probe)
        if state.step not in kept:
            self._save_checkpoint(state.step)
        state.seconds = time.monotonic() - started
        if not self.valid:
            state.best_step, self.best = state.step, adapter_state(self.layers)
        self.progress("train", len(self.plan), len(self.plan))
        return self._finish(state, train_last)

    def _begin_checkpoints(self) -> None:
        if self.team.rank == 0:
            files.remove(self.out / checkpoints.FOLDER)
        self._save_checkpoint(0)

    def _save_checkpoint(self, step: int) -> None:
        if self.team.rank == 0:
            checkpoints.save_checkpoint(self.out, step, self.layers)

    def _keep_lower_layers(self) -> None:
        """Where only the top layers learn, compute what comes from below them once for all that is seen twice."""
        top = self.options.shape.top
        if top is None or top == len(self.model.get_decoder().layers):
            return
        self.boundary = Boundary(self.model, top)
        steps = Counter(id(sequence) for batch in self.plan for sequence in batch)
        again = [sequence for sequence in self.sequences if steps[id(sequence)] > 1]
        self.work.mkdir(parents=True, exist_ok=True)
        file = self.work / f"activations-{self.team.rank}.bin"
        self.boundary.fill([*again, *self.valid, *self.probe], file)

    def _losses(self, batch: Sequence[TokenSequence]) -> torch.Tensor:
        """Nats of every target token of a pack, in the order of `target_losses`."""
        if self.boundary is None:
            return target_losses(self.model, batch)
        with self.boundary.standing_in(batch):
            return target_losses(self.model, batch)

    def _step(
        self,
        batch: list[TokenSequence],
        step: int,
        optimizer: torch.optim.Optimizer,
        parameters: list[torch.nn.Parameter],
    ) -> float:
        for group in optimizer.param_groups:
            group["lr"] = self.options.learning_rate * schedule.rate(step, len(self.plan))
        loss = self.objective(batch)
        [value] = self.team.mean([float(loss.detach())])
        if not math.isfinite(value):
            self._refuse("loss", value, step, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, 1.0))
        if not math.isfinite(norm):
            self._refuse("gradient's norm", norm, step, batch)
        optimizer.step()
        return value

    def _refuse(self, what: str, value: float, step: int, batch: Sequence[TokenSequence]) -> NoReturn:
        """Stop with the row whose loss is no number, or with all of the pack where each has one."""
        with torch.no_grad():
            nats = dict(split_by_row(batch, self._losses(batch)))
        rows = [row for row in nats if not bool(nats[row].isfinite().all())] or list(nats)
        where = " or ".join(self.names[row] for row in rows[:3]) + (" or others" if len(rows) > 3 else "")
        raise TrainingError(
            f"the {what} became {value} at step {step + 1}, on {where}; "
            "nothing was saved over the last good adapter; try a lower --learning-rate"
        )

    def _share_of(self, batch: Sequence[TokenSequence]) -> torch.Tensor:
        """This member's part of a pack's loss: its mean over the team is the mean over the pack's response tokens."""
        return self._mine(batch).sum() * (self.team.size / sum(s.target_tokens for s in batch))

    def _mine(self, batch: Sequence[TokenSequence]) -> torch.Tensor:
        """The losses of this member's part of a pack; of none, where it has none.

        It then computes some sequence all the same and takes nothing of it: its parts of the base are needed by the
        others, layer by layer, and they wait for its gradients.
        """
        if mine := share(batch, self.team.rank, self.team.size):
            return self._losses(mine)
        return self._losses(batch[:1])[:0]

    def _loss(self, sequences: Sequence[TokenSequence]) -> float:
        """Mean loss a response token, as the model stands."""
        total, count = 0.0, 0.0
        with torch.no_grad():
            for batch in pack(sequences, schedule.LOOK_TOKENS):
                losses = self._mine(batch)
                total, count = total + float(losses.sum()), count + len(losses)
        total, count = self.team.mean([total, count])
        return total / count

    def _look(self, state: _State, train_loss: float | None, started: float) -> None:
        """Compute the held-out loss, note it, and keep the adapter where it is the best so far."""
        loss = self._loss(self.valid)
        self._note(state, Metric(state.step, time.monotonic() - started, state.tokens, train_loss, loss))
        if loss < state.best_loss:
            state.best_loss, state.best_step, state.looks_since_best = loss, state.step, 0
            self.best = adapter_state(self.layers)
        else:
            state.looks_since_best += 1

    def _note(self, state: _State, metric: Metric) -> None:
        state.metrics.append(metric)
        self.observe(metric)

    def _show(self, state: _State) -> None:
        metric = state.metrics[-1]
        note = f"loss {metric.train_loss:.3f}"
        if state.best_loss < math.inf:
            latest = next(m.valid_loss for m in reversed(state.metrics) if m.valid_loss is not None)
            note += f", held-out {latest:.3f}"
        note += f", {state.tokens / max(state.seconds, 1e-9):.0f} tokens/s"
        self.progress("train", state.step, len(self.plan), note)

    def _save(self, state: _State, optimizer: torch.optim.Optimizer) -> None:
        # A file of our own: torch's does not say why it cannot be written.
        with files.atomic_path(self.work / "state.pt") as partial, partial.open("wb") as out:
            torch.save(
                {
                    "fingerprint": self.fingerprint,
                    "state": msgspec.to_builtins(state),
                    "adapter": adapter_state(self.layers),
                    "best": self.best,
                    "optimizer": optimizer.state_dict(),
                },
                out,
            )

    def _resume(self, optimizer: torch.optim.Optimizer) -> tuple[_State, dict[str, torch.Tensor]]:
        saved = self.work / "state.pt"
        found: dict[str, Any] = torch.load(saved, weights_only=True) if self.team.rank == 0 and saved.is_file() else {}
        kept = self.team.agreed(found)
        if kept.get("fingerprint") == self.fingerprint:
            load_adapter_state(self.layers, kept["adapter"])
            optimizer.load_state_dict(kept["optimizer"])
            return msgspec.convert(kept["state"], _State), kept["best"]
        return _State(), adapter_state(self.layers)

    def _finish(self, state: _State, train_last: float) -> TrainResult:
        if self.team.rank == 0:
            self._write(state)
        held_out = [metric.valid_loss for metric in state.metrics if metric.valid_loss is not None]
        return TrainResult(
            steps=state.step,
            best_step=state.best_step,
            seconds=state.seconds,
            tokens_per_second=state.tokens / max(state.seconds, 1e-9),
            train_first=state.train_first if state.train_first is not None else math.nan,
            train_last=train_last,
            valid_first=held_out[0] if held_out else None,
            valid_best=min(held_out) if held_out else None,
            rows=len(self.names),
            valid_rows=sum(len(sequence.targets) for sequence in self.valid),
            skipped=tuple(self.skipped),
            device=self.device.name,
            dtype=self.device.dtype,
        )

    def _write(self, state: _State) -> None:
        files.write_jsonl(self.out / "metrics.jsonl", state.metrics)
        with files.atomic_path(self.out / "adapter") as partial:
            partial.mkdir()
            save_adapter(partial, self.best, self.options.shape, self.base.name)
            files.write_json(partial / "base.json", {"name": self.base.name, "fingerprint": self.base.fingerprint()})
            files.write_json(partial / OPTIONS, self.options)
        files.remove(self.work)


_SAVE_SECONDS = 20.0
