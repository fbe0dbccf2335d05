"""What the rooms' tests share: a tiny base and the real small one, rows, and float32 for exact comparisons."""

from pathlib import Path

import pytest
from small_models import many_rows, write_tiny_base

from locum.training.base import Base
from locum.types import Row


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
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is computed in float32 on the CPU, whatever the processor does well."""
    from locum.training import device, loop

    exact = device.Device("cpu", "float32")
    monkeypatch.setattr(device, "best_device", lambda: exact)
    monkeypatch.setattr(loop, "best_device", lambda: exact)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store of models."""
    monkeypatch.setenv("LOCUM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
