"""What holds a session once it is out of the datasets: runs, adapters, model files, names; and how each is removed.

A run holds a session if its own dataset does or did, or if its manifest names a file of rows that did by its digest.
Whatever was trained on those rows then counts, as nothing can be taken out of weights again.
"""

import os
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from locum import files
from locum.dataset.forget import Kin, digests_of, holds
from locum.runtime import store

_REPORTS = ("report.html", "report.md")
_DERIVED = (".training", ".folds", "checkpoints", "fused", "lora", "evaluation", "anatomy", *_REPORTS)
"""What else in a run is made out of the rows."""


class Deployed(msgspec.Struct, frozen=True):
    """A name under which a model that holds the session answers."""

    engine: str
    name: str
    remove: str
    """The command that removes it."""


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """A run that holds the session."""

    run: str
    adapter: str | None = None
    model_files: tuple[str, ...] = ()
    derived: tuple[str, ...]
    """Whatever else of it was made out of the rows: answers of the evaluation, the report."""
    deployed: tuple[Deployed, ...] = ()
    remove: str
    """The command that removes what of the run holds it."""


class Found(msgspec.Struct, frozen=True):
    """Datasets and runs, each once, by their whole paths."""

    datasets: tuple[Path, ...]
    runs: tuple[Path, ...]


class _Named(msgspec.Struct, frozen=True):
    engine: str = "none"
    name: str | None = None


class _Manifest(msgspec.Struct, frozen=True):
    """What a manifest says of where a run's rows came from and where its model went."""

    digests: dict[str, str] = {}
    deployed: _Named = _Named()


class _Record(msgspec.Struct, frozen=True):
    """What an unfinished run has noted of its stage."""

    result: _Named


def find(given: Iterable[Path], below: Iterable[Path]) -> Found:
    """Datasets and runs: those `given`, all `below` some folders, and the runs whose models are stored by name.

    Links are not followed, and hidden folders are not looked into.
    """
    stored = (Path(store.find(name)[1].run) for name in store.names())
    folders = {path.resolve() for path in (*given, *stored) if path.is_dir()}
    folders.update(path / "dataset" for path in tuple(folders) if _is_dataset(path / "dataset"))
    for top in below:
        for here, names, contents in os.walk(top.resolve()):
            names[:] = sorted(name for name in names if not name.startswith("."))
            if "stats.json" in contents or "manifest.json" in contents or "adapter" in names:
                folders.add(Path(here))
    datasets = sorted(filter(_is_dataset, folders))
    runs = {*filter(_is_run, folders), *(path.parent for path in datasets if path.name == "dataset")}
    return Found(tuple(datasets), tuple(sorted(filter(_is_run, runs))))


def tainted(datasets: Iterable[Path], kin: Kin) -> frozenset[str]:
    """Digests of all files of rows that hold or held one of the kin; raises as `digests_of`."""
    return frozenset(digest for dataset in datasets for digest in digests_of(dataset, kin))


def holders(runs: Sequence[Path], kin: Kin, digests: Collection[str]) -> tuple[Holder, ...]:
    """The runs whose lineage holds one of the kin.

    Args:
        runs: where to look.
        kin: who is to be forgotten.
        digests: see `tainted`.

    Raises:
        DatasetError: a run's dataset cannot be read.
    """
    found = []
    for run in runs:
        manifest = _read(run / "manifest.json", _Manifest, _Manifest())
        own = run / "dataset"
        named = {digest for name, digest in manifest.digests.items() if name.startswith("dataset/")}
        if named & set(digests) or (_is_dataset(own) and digests_of(own, kin)):
            found.append(_holder(run, manifest))
            continue
        reports = [run / name for name in _REPORTS if (run / name).exists()]
        if reports and _is_dataset(own) and holds(own, kin):
            # Nothing was trained on it, but the report shows how drops begin.
            found.append(Holder(run=str(run), derived=tuple(map(str, reports)), remove=_remove(*reports)))
    return tuple(found)


def unclear(runs: Sequence[Path]) -> tuple[Deployed, ...]:
    """Stored models of which nobody can say any more what they were trained on: their run is gone."""
    known = set(runs)
    return tuple(_embedded(name) for name in store.names() if Path(store.find(name)[1].run).resolve() not in known)


def _holder(run: Path, manifest: _Manifest) -> Holder:
    adapter = run / "adapter"
    models = sorted((run / "model").glob("*.gguf"))
    hashes = {files.sha256_file(path) for path in models} | {
        digest for name, digest in manifest.digests.items() if name.startswith("model/")
    }
    return Holder(
        run=str(run),
        adapter=str(adapter) if adapter.is_dir() else None,
        model_files=tuple(map(str, models)),
        derived=tuple(str(run / name) for name in _DERIVED if (run / name).exists()),
        deployed=tuple(_names(run, manifest, hashes)),
        remove=_remove(run),
    )


def _names(run: Path, manifest: _Manifest, hashes: Collection[str]) -> Iterator[Deployed]:
    for name in store.names():
        card = store.find(name)[1]
        if Path(card.run).resolve() == run or card.sha256 in hashes:
            yield _embedded(name)
    unfinished = _read(run / ".stages" / "deploy.json", _Record, _Record(_Named()))
    for named in dict.fromkeys((manifest.deployed, unfinished.result)):
        if named.engine == "ollama" and named.name:
            yield Deployed("ollama", named.name, shlex.join(["ollama", "rm", named.name]))


def _embedded(name: str) -> Deployed:
    return Deployed("embedded", name, _remove(store.models_folder() / name))


def _remove(*paths: Path) -> str:
    return shlex.join(["rm", "-r", *map(str, paths)])


def _is_dataset(folder: Path) -> bool:
    return (folder / "stats.json").is_file() and (folder / "train.jsonl").is_file()


def _is_run(folder: Path) -> bool:
    return (
        _is_dataset(folder / "dataset")
        or (folder / "adapter" / "adapter_config.json").is_file()
        or "dataset/train.jsonl" in _read(folder / "manifest.json", _Manifest, _Manifest()).digests
    )


def _read(path: Path, type_: type[Any], otherwise: Any) -> Any:
    """A file of a run; other programs have manifests too, which say nothing here."""
    try:
        return files.read_json(path, type_)
    except (OSError, msgspec.MsgspecError):
        return otherwise
