"""A run's figures in TensorBoard, MLflow or Weights & Biases, each through its own library.

What they get is the figures of `metrics.jsonl` and the options of the run; no row, no text and no path. Where they go
is what the user has set up for that library: a folder beside the run for TensorBoard, `MLFLOW_TRACKING_URI`, the
account (or `WANDB_MODE=offline`) of W&B.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from locum import files
from locum.errors import EngineError
from locum.training.backend import Metric, TrainOptions

Observer = Callable[[Metric], None]


@contextmanager
def tracked(tracker: str | None, run: Path, options: TrainOptions) -> Iterator[Observer]:
    """Open a tracker for one training run; what it yields wants every metric of it, in order.

    Args:
        tracker: one of `TRACKERS`; None: nobody is told.
        run: the run's folder; its name is the run's name there. A resumed run is told again from its beginning:
            TensorBoard's folder is begun anew, the others get a new run.
        options: noted as the run's parameters.

    Raises:
        EngineError: the library is not installed, or refuses.
    """
    if tracker is None:
        yield lambda metric: None
        return
    try:
        opened = TRACKERS[tracker](run, _parameters(options))
    except ImportError:
        raise EngineError(f"--track {tracker} needs its library; install `locum[{tracker}]`") from None
    except Exception as error:  # each library has its own errors, and they mean the same here
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise EngineError(f"{tracker} cannot be written to ({said}); mend that or leave --track out") from None
    log, close = opened

    def observe(metric: Metric) -> None:
        log(metric.step, figures(metric))

    try:
        yield observe
    except BaseException:
        close(False)
        raise
    close(True)


def figures(metric: Metric) -> dict[str, float]:
    """What is shown of a metric: losses in nats per response token, and the tokens computed a second so far."""
    shown = {"train_loss": metric.train_loss, "valid_loss": metric.valid_loss, "tokens": float(metric.tokens)}
    if metric.step and metric.seconds > 0:
        shown["tokens_per_second"] = metric.tokens / metric.seconds
    return {name: value for name, value in shown.items() if value is not None}


def _parameters(options: TrainOptions) -> dict[str, str]:
    """The options by name, those of the adapter's shape with a dot."""
    flat: dict[str, str] = {}
    for name, value in msgspec.to_builtins(options).items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": str(of) for inner, of in value.items()}
        else:
            flat[name] = str(value)
    return flat


_Opened = tuple[Callable[[int, dict[str, float]], None], Callable[[bool], None]]
"""How figures of a step are logged, and how the run is ended, well or not."""


def _tensorboard(run: Path, parameters: dict[str, str]) -> _Opened:
    from torch.utils.tensorboard import SummaryWriter

    folder = run / "tensorboard"
    if folder.exists():
        files.remove(folder)
    writer = SummaryWriter(str(folder))
    writer.add_text("options", "\n".join(f"    {name} = {value}" for name, value in parameters.items()))

    def log(step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return log, lambda well: writer.close()


def _mlflow(run: Path, parameters: dict[str, str]) -> _Opened:
    from mlflow.tracking import MlflowClient

    client = MlflowClient()
    experiment = client.get_experiment_by_name("locum")
    number = experiment.experiment_id if experiment else client.create_experiment("locum")
    # Through the client: mlflow.start_run would note the user's name, the command line and the commit.
    name = client.create_run(number, run_name=run.resolve().name).info.run_id
    for key, value in parameters.items():
        client.log_param(name, key, value)

    def log(step: int, values: dict[str, float]) -> None:
        for key, value in values.items():
            client.log_metric(name, key, value, step=step)

    return log, lambda well: client.set_terminated(name, "FINISHED" if well else "FAILED")


def _wandb(run: Path, parameters: dict[str, str]) -> _Opened:
    import wandb

    # Left to itself it would send the command line, the host, the commit and what is printed.
    quiet: Any = wandb.Settings(console="off", silent=True, disable_git=True, save_code=False, x_disable_meta=True)
    begun = wandb.init(project="locum", name=run.resolve().name, dir=str(run), config=dict(parameters), settings=quiet)
    return lambda step, values: begun.log(values, step=step), lambda well: begun.finish(0 if well else 1)


TRACKERS: dict[str, Callable[[Path, dict[str, str]], _Opened]] = {
    "tensorboard": _tensorboard,
    "mlflow": _mlflow,
    "wandb": _wandb,
}
