"""The order of the rooms: no room imports from a later one, and heavy libraries stay behind lazy imports."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import locum

PACKAGE = Path(locum.__file__).parent
ROOMS = (
    "sessions", "dataset", "training", "export", "runtime", "evaluation", "trust", "service", "report", "cli",
)  # fmt: skip
HEAVY = ("torch", "transformers", "peft", "gguf", "xllamacpp", "ollama", "safetensors", "sklearn")
MODULES = sorted(PACKAGE.rglob("*.py"))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield f"{node.module}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "locum" and parts[1] in ROOMS else None


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_imports_from_a_later_room(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0]
    allowed = ROOMS[: ROOMS.index(own) + 1] if own in ROOMS else ()
    imported = {room for name in _imports(ast.parse(path.read_text("utf-8"))) if (room := _room(name))}
    assert imported <= set(allowed)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_are_small_and_load_heavy_libraries_lazily(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 450
    if path.relative_to(PACKAGE).parts[0] in ("sessions", "dataset", "trust", "report", "cli"):
        top = ast.Module([n for n in ast.parse(text).body if isinstance(n, ast.Import | ast.ImportFrom)], [])
        assert not {name.split(".")[0] for name in _imports(top)} & set(HEAVY)


@pytest.mark.parametrize("module", ["locum.cli.main", "locum.sessions", "locum.dataset.build", "locum.report"])
def test_importing_a_light_room_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
