"""What is deployed, in the embedded store and in Ollama, how it comes there and how it is taken away."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from locum import files
from locum.cli import stages
from locum.errors import EngineError, NameTakenError
from locum.progress import Progress
from locum.runtime import store

if TYPE_CHECKING:
    from locum.training.base import Base
    from locum.training.chat_template import Renderer


def everything() -> list[dict[str, Any]]:
    """The stored models with what their cards say, and the names in Ollama where one answers."""
    found: list[dict[str, Any]] = []
    for name in store.names():
        model, card = store.find(name)
        found.append(
            {
                "engine": "embedded",
                "name": name,
                "base": card.base,
                "run": card.run,
                "sha256": card.sha256,
                "bytes": model.stat().st_size,
                "licence": card.licence,
            }
        )
    from locum.runtime.ollama import Ollama

    server = Ollama()
    if server.answers():
        found += [{"engine": "ollama", "name": name} for name in server.names()]
    return found


def remove(name: str, where: str) -> dict[str, str]:
    """Take a model away.

    Args:
        name: its name.
        where: `auto` (the embedded store, else Ollama), `embedded` or `ollama`.

    Raises:
        RunError: there is none of this name.
        EngineError: Ollama does not answer, or has none of this name.
    """
    from locum.runtime.ollama import Ollama

    store.check_name(name)
    server = Ollama()
    in_ollama = where == "ollama" or (where == "auto" and not store.is_taken(name) and server.answers())
    if where == "ollama" and not server.answers():
        raise EngineError(f"no Ollama answers at {server.host}; start it (`ollama serve`)")
    if in_ollama and (where == "ollama" or server.has(name)):
        server.remove(name)
        return {"engine": "ollama", "name": name}
    store.remove(name)
    return {"engine": "embedded", "name": name}


def into_ollama(
    run: Path, name: str, model: Path, resolved: "Base", renderer: "Renderer", progress: Progress
) -> dict[str, Any] | None:
    """The model file into Ollama. Returns how far its prompts are training's, where this Ollama tells."""
    from locum.dataset.store import read_rows
    from locum.export.modelfile import describe_for_ollama, plain_conversations
    from locum.runtime.ollama import Ollama
    from locum.runtime.ollama_parity import Rendering, check_rendering

    server, described = Ollama(), describe_for_ollama(resolved, renderer)
    held_out = read_rows(run / "dataset", "test")[:24] if (run / "dataset").is_dir() else []
    found: list[Rendering | None] = []

    def check(made: str) -> None:
        found.append(check_rendering(server, made, renderer, plain_conversations(), held_out))

    server.create(name, model, check=check, progress=progress, **msgspec.structs.asdict(described))
    return None if found[0] is None else msgspec.to_builtins(found[0])


def choose_engine(deploy: str) -> str:
    """`ollama`, `embedded` or `none` for what was asked.

    Raises:
        EngineError: Ollama was asked for by name and none answers.
    """
    if deploy in ("embedded", "none"):
        return deploy
    from locum.runtime.ollama import Ollama

    server = Ollama()
    if server.answers():
        return "ollama"
    if deploy == "ollama":
        raise EngineError(f"no Ollama answers at {server.host}; start it (`ollama serve`) or pass --deploy embedded")
    return "embedded"


def require_free(name: str, deploy: str, force: bool, run: Path) -> None:
    """Fail early where the name is taken. One that holds this run's own model file is not: a run that was killed
    between deploying and taking note of it goes on.

    Raises:
        NameTakenError: another model of this name exists where it would be deployed, and `force` is not set.
        RunError: the name cannot name a model.
    """
    store.check_name(name)
    engine = choose_engine(deploy)
    if force or engine == "none":
        return
    models = sorted((run / "model").glob("*.gguf"))
    own = files.sha256_file(models[0]) if models else None
    if engine == "ollama":
        from locum.runtime.ollama import Ollama

        server = Ollama()
        taken = server.has(name) and not (own and server.holds(name, own))
    else:
        taken = store.is_taken(name) and store.find(name)[1].sha256 != own
    if taken:
        raise NameTakenError(f"a model named {name!r} exists already; choose another --name or pass --force")


def deploy(run: Path, name: str, base: str, deploy_to: str, force: bool, progress: Progress) -> dict[str, Any]:
    """The model file under a name, in Ollama or in the embedded store."""
    from locum.export.base_file import base_model_file

    engine = choose_engine(deploy_to)
    if engine == "none":
        return {"engine": "none", "name": None}
    model = stages.model_file_of(run)
    require_free(name, engine, force, run)
    resolved, renderer = stages.prepared(base, progress)
    if engine == "ollama":
        return {
            "engine": engine,
            "name": name,
            "rendering": into_ollama(run, name, model, resolved, renderer, progress),
        }
    card = store.Card(
        name=name,
        base=base,
        base_file=str(base_model_file(resolved, renderer, stages.quantization_of(model), progress)),
        sha256=files.sha256_file(model),
        run=str(run.resolve()),
        licence=resolved.licence,
    )
    store.put(card, model, force=True)  # whether the name is free is settled above
    return {"engine": engine, "name": name}
