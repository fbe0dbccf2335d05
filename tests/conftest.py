"""What the rooms' tests share: a tiny base and the real small one, rows, and float32 for exact comparisons."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from command import Command
from small_models import many_rows, write_tiny_base

from locum.sessions.scripted import write_sessions
from locum.training.base import Base
from locum.types import Row

if TYPE_CHECKING:
    from locum.training.chat_template import Renderer


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A random llama of two layers, as a Hugging Face folder in float32."""
    folder = tmp_path_factory.mktemp("tiny") / "base"
    folder.mkdir()
    write_tiny_base(folder)
    return Base(name="tiny", folder=folder, licence="apache-2.0")


@pytest.fixture(scope="session")
def small_base() -> Base:
    """The real SmolLM2-135M, unpacked into the cache once."""
    from locum.training.base import resolve_base

    return resolve_base("smollm2:135m")


@pytest.fixture
def rows() -> list[Row]:
    """Rows of every shape."""
    return many_rows()


@pytest.fixture
def float32(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything is computed in float32 on one thread of the CPU, whatever the processor does well."""
    import torch

    from locum.training import device, loop

    exact = device.Device("cpu", "float32")
    monkeypatch.setattr(device, "best_device", lambda: exact)
    monkeypatch.setattr(loop, "best_device", lambda: exact)
    threads = torch.get_num_threads()
    # Products of a tiny model gain nothing from a second thread, and wait for it where others are at work.
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store of models."""
    monkeypatch.setenv("LOCUM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def tiny_renderer(tiny_base: Base) -> "Renderer":
    """The tiny base's renderer."""
    from locum.training.chat_template import Renderer

    return Renderer(tiny_base.folder)


@pytest.fixture(scope="session")
def tiny_file(tiny_base: Base, tiny_renderer: "Renderer", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base as a model file in full precision."""
    from locum.export.gguf_file import write_gguf

    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    write_gguf(tiny_base.folder, tiny_base, tiny_renderer, path, "F32", "tiny")
    return path


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight generated sessions."""
    folder = tmp_path_factory.mktemp("logs")
    write_sessions(folder, 8, seed=3)
    return folder


@pytest.fixture
def locum(tmp_path: Path) -> Command:
    """The command in an empty folder."""
    return Command(tmp_path)


@pytest.fixture
def exported_run(locum: Command, tiny_base: Base, tiny_renderer: "Renderer") -> Path:
    """A run folder as `export` leaves it, as far as `deploy` looks."""
    from locum import files
    from locum.export.gguf_file import write_gguf

    folder = locum.folder / "run"
    (folder / "model").mkdir(parents=True)
    files.write_json(folder / "adapter" / "base.json", {"name": str(tiny_base.folder)})
    write_gguf(tiny_base.folder, tiny_base, tiny_renderer, folder / "model" / "tiny.F32.gguf", "F32", "tiny")
    return folder
