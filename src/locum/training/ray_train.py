"""Training on a Ray cluster through Ray Train (https://docs.ray.io/en/latest/train): data-parallel, in torch's DDP.

One worker for each GPU of the cluster; where it has none, one for each node with processors. Every worker holds the
base (or, where it is dealt out, a part of it) and the whole adapter and computes its share of each step's sequences
(`locum.training.team`), so a step is the step of one process and the result is that of one process within rounding. A
step of few sequences leaves workers without work: what many workers need is larger steps.

The run folder has to be one that every node sees, as Ray Train's own storage: the first worker writes there what one
process would have written, and a run that was cut goes on from there.
"""

import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from locum import __version__, files
from locum.errors import EngineError, LocumError
from locum.progress import Progress, silent
from locum.ray_cluster import connect
from locum.training.backend import Backend, Metric, TrainOptions, TrainResult
from locum.training.base import Base, resolve_base
from locum.training.device import Device
from locum.training.loop import train
from locum.types import Row

_SEEN = "seen"
"""A file in the run's working folder, by which a worker knows that it sees the folder."""


class _Work(msgspec.Struct, frozen=True):
    """What every worker is given."""

    train_rows: Sequence[Row]
    valid_rows: Sequence[Row]
    base: Base
    run: str
    options: TrainOptions
    device: Device | None
    shard: bool
    version: str


def train_on_ray(
    address: str,
    train_rows: Sequence[Row],
    valid_rows: Sequence[Row],
    base: Base,
    run: Path,
    options: TrainOptions | None = None,
    progress: Progress = silent,
    *,
    observe: Callable[[Metric], None] = lambda metric: None,
    device: Device | None = None,
    shard: bool = False,
) -> TrainResult:
    """As `locum.training.loop.train`, on the cluster at `address` (see `locum.ray_cluster.connect`).

    Args:
        address: of the cluster.
        train_rows, valid_rows, base, run, options, progress, observe, device: as `train`.
        shard: deal the base's decoder layers out over the workers, for a base that is too large for one of them.

    Raises:
        TrainingError: as `train`.
        EngineError: no cluster answers, it has nothing to compute with, a node does not see `run` or has other
            versions, or the cluster failed.
    """
    connect(address, "ray")
    import ray
    from ray.train import FailureConfig, RunConfig
    from ray.train.torch import TorchTrainer
    from ray.util.queue import Queue

    work = run.resolve() / ".training"
    files.write_text(work / _SEEN, "")
    told = Queue(actor_options={"num_cpus": 0})
    listener = threading.Thread(target=_listen, args=(told, progress, observe), daemon=True)
    listener.start()
    given = _Work(train_rows, valid_rows, base, str(run.resolve()), options or TrainOptions(), device, shard, version())
    loop: Any = _train
    trainer = TorchTrainer(
        loop,
        train_loop_config={"work": ray.put(given), "told": told},
        scaling_config=_workers(),
        run_config=RunConfig(
            name="ray", storage_path=str(work), failure_config=FailureConfig(max_failures=0), callbacks=[]
        ),
    )
    try:
        finished: Any = trainer.fit()
    except ray.train.TrainingFailedError as error:
        raise _reason(error) from None
    finally:
        told.put(None)
        listener.join(timeout=60)
        told.shutdown()
    files.remove(work)
    return msgspec.convert(finished.return_value, TrainResult)


def trainer(address: str | None, shard: bool = False) -> Backend:
    """Who trains: this process where `address` is None, else the cluster there, `shard` as in `train_on_ray`."""
    return train if address is None else partial(train_on_ray, address, shard=shard)


def version() -> str:
    """What has to be the same on every node for a step to be the same everywhere."""
    names = ("torch", "transformers", "msgspec")
    return " ".join([f"locum {__version__}", *(f"{name} {metadata.version(name)}" for name in names)])


def _workers() -> Any:
    """As many workers as there are GPUs, else one for each node, with all of the processors that every node has.

    Raises:
        EngineError: there is neither.
    """
    import ray
    from ray.train import ScalingConfig

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = int(sum(node.get("GPU", 0) for node in nodes))
    if gpus:
        return ScalingConfig(num_workers=gpus, use_gpu=True)
    processors = [int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1]
    if not processors:
        raise EngineError("the Ray cluster has no node with a processor or a GPU to train on; add one with `ray start`")
    return ScalingConfig(
        num_workers=len(processors), resources_per_worker={"CPU": min(processors)}, placement_strategy="SPREAD"
    )


def _listen(told: Any, progress: Progress, observe: Callable[[Metric], None]) -> None:
    """Pass on what the first worker tells, until there is None."""
    while (what := told.get()) is not None:
        if isinstance(what, Metric):
            observe(what)
        else:
            progress(*what)


def _train(config: dict[str, Any]) -> dict[str, Any]:
    """In a worker: one member of the team; what the first one returns is the result."""
    import ray
    import torch
    from ray.train import get_context
    from ray.train.torch import prepare_model

    from locum.training.distributed import Distributed

    work: _Work = ray.get(config["work"])
    told, first = config["told"], get_context().get_world_rank() == 0
    if work.version != version():
        raise EngineError(f"a node has {version()}, but this computer {work.version}; install the same there")
    if not (Path(work.run) / ".training" / _SEEN).is_file():
        raise EngineError(f"a node does not see {work.run}; give an --out that all nodes of the cluster share")
    if threads := int(os.environ.get("OMP_NUM_THREADS", 0)):
        torch.set_num_threads(threads)
    base = work.base if work.base.folder.is_dir() else resolve_base(work.base.name)
    result = train(
        work.train_rows,
        work.valid_rows,
        base,
        Path(work.run),
        work.options,
        (lambda *what: told.put(what)) if first else silent,
        observe=told.put if first else lambda metric: None,
        team=Distributed(lambda module: prepare_model(module, move_to_device=False), work.shard),
        device=work.device,
    )
    builtins: dict[str, Any] = msgspec.to_builtins(result)
    return builtins


def _reason(error: Exception) -> LocumError:
    """What to tell: a worker's own word to the user where it had one, never the cluster's report."""
    failures = list(getattr(error, "worker_failures", {}).values())
    for failure in failures:
        cause = getattr(failure, "cause", failure)
        for found in (cause, getattr(cause, "cause", None), getattr(cause, "__cause__", None)):
            if isinstance(found, LocumError):
                return type(found)(str(found))
    names = sorted({type(failure).__name__ for failure in failures}) or [type(error).__name__]
    return EngineError(f"the Ray cluster failed ({', '.join(names)}); its own logs say why")
