"""What is deployed, in the embedded store and in Ollama, and how it is taken away."""

from typing import Any

from locum.errors import EngineError
from locum.runtime import store


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
