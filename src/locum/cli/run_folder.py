"""A run's folder: what it was asked for, what is done, and the record by which an interrupted run goes on.

A finished stage leaves a record in RUN/.stages; the same command given again skips what is recorded and starts the
first unfinished stage anew (training goes on from its last checkpoint). `manifest.json` is written last of all, from
the records, which then go.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from locum import __version__, files
from locum.errors import NameTakenError, RunError


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was asked for. A run that was interrupted goes on only for the same request."""

    sources: tuple[str, ...]
    name: str
    base: str
    quant: str
    deploy: str
    max_steps: int | None
    epochs: int
    learning_rate: float
    patience: int
    layers: str
    context_chars: int
    context: str
    settings: str | None
    eval_rows: int
    loss_rows: int
    at_once: int = 1
    seed: int
    skip_bad: bool
    canaries: bool = False
    force: bool
    """Replace a finished run, another request's unfinished one, and a model of the same name."""
    version: str = __version__
    """Of Locum: another one may leave other records."""


class Record(msgspec.Struct, frozen=True):
    """What a finished stage leaves: how long it took and what it found out."""

    seconds: float
    result: dict[str, Any]
    memory: int = 0
    """Bytes: the most that the process held in memory by then; 0 where the system does not say."""


class Run:
    """A run folder, opened for one request. Nothing in it is touched before `begin`.

    Raises:
        NameTakenError: a finished run stands there and the request does not force.
        RunError: an unfinished run with another request, or something that is no run, stands there.
    """

    def __init__(self, folder: Path, request: Request, say: Callable[[str], None]) -> None:
        self.folder, self.request = folder, request
        self._records = folder / ".stages"
        if "\ufffd" in os.fsencode(folder.absolute()).decode("utf-8", "replace"):
            raise RunError(f"the path {str(folder)!r} is not UTF-8, which every file of a run is; give another --out")
        if folder.exists() and not folder.is_dir():
            raise RunError(f"{str(folder)!r} is a file; give a folder with --out")
        finished, unfinished = _is_finished(folder), (folder / _REQUEST).is_file()
        if not finished and not unfinished and _contents(folder):
            raise RunError(f"{str(folder)!r} is not empty and holds no run; give another folder with --out")
        if finished and not request.force:
            raise NameTakenError(f"{str(folder)!r} holds a finished run already; choose another --name or pass --force")
        self.goes_on = False
        if unfinished and not finished:
            differing = self._differing(_read_request(folder))
            if differing and not request.force:
                raise RunError(
                    f"{str(folder)!r} holds an unfinished run of another request ({'; '.join(differing)}); "
                    "give the same options to go on with it, or --force to begin anew"
                )
            self.goes_on = not differing
        if self.goes_on and self._records.is_dir():
            say(f"going on with the unfinished run in {folder}")
            files.sweep_partials(folder)

    def _differing(self, before: Request | None) -> list[str]:
        """What the request asks for that the unfinished run was not asked for."""
        if before is None:
            return ["it was begun by another version of Locum"]
        if before.force and not self.request.force:
            # It was allowed to replace what stood there; nobody has to say so twice.
            self.request = msgspec.structs.replace(self.request, force=True)
        return [
            f"{field} {getattr(before, field)!r}, now {getattr(self.request, field)!r}"
            for field in Request.__struct_fields__
            if getattr(before, field) != getattr(self.request, field)
        ]

    def begin(self) -> None:
        """Make the folder this request's own: what an earlier run wrote goes, and nothing else."""
        if not self.goes_on:
            # In this order an interruption leaves a whole old run, or the beginning of the new one.
            files.remove(self._records)
            files.write_json(self.folder / _REQUEST, self.request)
            for name in (".training", ".folds", *_ARTEFACTS):
                files.remove(self.folder / name)
        files.sweep_partials(self.folder)

    def has_done(self, name: str) -> bool:
        """Whether a stage ran to its end before."""
        return self.goes_on and (self._records / f"{name}.json").is_file()

    def stage(self, name: str, work: Callable[[], dict[str, Any]], *, anew: bool = False) -> dict[str, Any]:
        """Run a stage, or return what it found out when it ran before.

        Args:
            name: the stage.
            work: what it does.
            anew: run it even where it ran before: a record may be older than what it was made from.
        """
        path = self._records / f"{name}.json"
        if not anew and self.has_done(name):
            return files.read_json(path, Record).result
        started = time.monotonic()
        result = work()
        files.write_json(path, Record(time.monotonic() - started, result, peak_memory()))
        return result

    def seconds(self) -> dict[str, float]:
        """Seconds of each finished stage, in order of finishing."""
        paths = sorted(self._records.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return {path.stem: round(files.read_json(path, Record).seconds, 2) for path in paths}

    def memory(self) -> int:
        """The most that any process of this run held in memory, in bytes; 0 where the system does not say."""
        return max((files.read_json(path, Record).memory for path in self._records.glob("*.json")), default=0)

    def finish(self, manifest: dict[str, Any]) -> None:
        """Write manifest.json, the sign that the run is whole, and drop the records."""
        files.write_json(self.folder / "manifest.json", manifest)
        files.remove(self._records)
        files.remove(self.folder / _REQUEST)


def peak_memory() -> int:
    """The most that this process has held in main memory, in bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


class _Manifest(msgspec.Struct, frozen=True):
    """Enough of manifest.json to tell it from somebody else's file of that name."""

    request: dict[str, Any]
    digests: dict[str, str]


def _is_finished(folder: Path) -> bool:
    try:
        files.read_json(folder / "manifest.json", _Manifest)
    except (FileNotFoundError, msgspec.MsgspecError):
        return False
    return True


def _read_request(folder: Path) -> Request | None:
    try:
        return files.read_json(folder / _REQUEST, Request)
    except msgspec.MsgspecError:
        return None


def _contents(folder: Path) -> list[Path]:
    """What stands in a folder, leftovers of interrupted writes aside."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if not path.name.startswith(files.PARTIAL)]


_REQUEST = ".request.json"
_ARTEFACTS = (
    "manifest.json",
    "dataset",
    "dataset.redactions.json",
    "canaries.json",
    "adapter",
    "metrics.jsonl",
    "fused",
    "model",
    "lora",
    "evaluation",
    "anatomy",
    "scaling.json",
    "verdict.json",
    "report.html",
    "report.md",
)
