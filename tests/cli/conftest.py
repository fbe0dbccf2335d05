"""What the tests of the command line share."""

from pathlib import Path

import pytest
from command import Command

from locum.sessions.scripted import write_sessions


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
