"""What is deployed, in the embedded store and in Ollama, how it comes there and how it is taken away."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from locum import files
from locum.cli import stages
from locum.cli.options import names_server
from locum.errors import EngineError, NameTakenError, RunError
from locum.progress import Progress
from locum.runtime import store

if TYPE_CHECKING:
    from locum.training.base import Base
    from locum.training.chat_template import Renderer
    from locum.types import Row


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
    run: Path,
    name: str,
    model: Path,
    resolved: "Base",
    renderer: "Renderer",
    progress: Progress,
    quantize: str | None = None,
) -> dict[str, Any]:
    """The model file into Ollama. Returns how far its prompts and log-probabilities are training's, where this Ollama
    tells; what it does not tell is None.

    Raises:
        RunError: Ollama shall quantize what is quantized already.
    """
    from locum.export.modelfile import describe_for_ollama, plain_conversations
    from locum.export.parity import MEAN_BOUNDS, engine_bound
    from locum.runtime.ollama import Ollama
    from locum.runtime.ollama_parity import check_next_tokens, check_rendering
    from locum.runtime.scorer import Scorer
    from locum.training.device import Device

    made_of = stages.quantization_of(model)
    if quantize is not None and made_of not in ("F32", "F16", "BF16"):
        raise RunError(
            f"Ollama quantizes F32, F16 and BF16 files only, and {model.name!r} is {made_of}; "
            f"run `locum export {run} --quant F16` first, or leave --quantize out"
        )
    server, described, shapes = Ollama(), describe_for_ollama(resolved, renderer), plain_conversations()
    bound = engine_bound(made_of) if quantize is None else MEAN_BOUNDS.get(quantize, MEAN_BOUNDS["Q4_K_M"])
    told: dict[str, Any] = {"quantize": quantize}

    def check(made: str) -> None:
        told["rendering"] = check_rendering(server, made, renderer, shapes, _held_out(run))
        told["logprobs"] = check_next_tokens(
            server, made, renderer, shapes, lambda: Scorer(model, resolved.folder, Device("cpu", "float32")), bound
        )

    server.create(name, model, check=check, progress=progress, quantize=quantize, **msgspec.structs.asdict(described))
    return dict(msgspec.to_builtins(told))


def at_server(run: Path, name: str, model: Path, renderer: "Renderer", address: str, progress: Progress) -> Any:
    """What a server that serves the run already under `name` shows of it.

    Raises:
        EngineError: it has no such model, does not answer, or differs from training.
        RunError: the run has no fused model to hold it against.
    """
    from locum.runtime.openai_parity import check_server
    from locum.runtime.openai_server import OpenAIServer
    from locum.runtime.scorer import Scorer
    from locum.training.device import Device

    fused = run / "fused"
    if not fused.is_dir():
        raise RunError(f"{str(run)!r} holds no fused model to hold a server against: run `locum export {run}` first")
    with OpenAIServer(address, name) as server:
        if name not in (known := server.models()):
            there = ", ".join(known[:5]) or "none"
            raise EngineError(f"the server at {server.url} has no model {name!r} (it has: {there}); give --name")
        progress("certify", 0, 1)
        kind = stages.quantization_of(model)
        found = check_server(
            server, renderer, _held_out(run), lambda: Scorer(None, fused, Device("cpu", "float32")), kind
        )
        progress("certify", 1, 1)
        return {"engine": server.name, "name": name, "served": msgspec.to_builtins(found)}


def _held_out(run: Path) -> "list[Row]":
    from locum.dataset.store import read_rows

    return read_rows(run / "dataset", "test")[:24] if (run / "dataset").is_dir() else []


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


def require_free(name: str, engine: str, force: bool, run: Path) -> None:
    """Fail early where the name is taken. One that holds this run's own model file is not: a run that was killed
    between deploying and taking note of it goes on.

    Args:
        name: the name.
        engine: where it would be, as `choose_engine` says.
        force: whether it may be taken.
        run: the run's folder.

    Raises:
        NameTakenError: another model of this name exists there, and `force` is not set.
        RunError: the name cannot name a model.
    """
    store.check_name(name)
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


def deploy(
    run: Path, name: str, base: str, deploy_to: str, force: bool, progress: Progress, quantize: str | None = None
) -> dict[str, Any]:
    """The model file under a name, in Ollama or in the embedded store; or a server that has it held against training.

    Raises:
        RunError: `quantize` is set and the model does not go into Ollama.
    """
    from locum.export.base_file import base_model_file

    if names_server(deploy_to):
        model, (_, renderer) = stages.model_file_of(run), stages.prepared(base, progress)
        return dict(at_server(run, name, model, renderer, deploy_to, progress))
    engine = choose_engine(deploy_to)
    if quantize is not None and engine != "ollama":
        raise RunError(f"only Ollama quantizes while deploying; run `locum export {run} --quant {quantize}` instead")
    if engine == "none":
        return {"engine": "none", "name": None}
    model = stages.model_file_of(run)
    require_free(name, engine, force, run)
    resolved, renderer = stages.prepared(base, progress)
    if engine == "ollama":
        return {
            "engine": engine,
            "name": name,
            **into_ollama(run, name, model, resolved, renderer, progress, quantize),
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
