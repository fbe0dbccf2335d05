"""The real command in a process of its own, with a store of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Said(NamedTuple):
    """What the command left behind."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of a failure; checks that there is no other, no traceback and nothing on stdout."""
        assert (self.code, self.out) == (1, ""), self.err
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert "this is a defect" not in lines[0]
        return lines[0]


class Command:
    """`locum`, run in `folder` with the models of `folder`/home and no Ollama in reach."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.environment = {**os.environ, "LOCUM_HOME": str(self.home), "OLLAMA_HOST": "http://127.0.0.1:9"}

    def start(
        self, *arguments: str | bytes, limit: int | None = None, env: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Begin, with files of at most `limit` bytes."""

        def prepare() -> None:
            # A test run in the background of a shell is deaf to Ctrl-C, and so would be its children.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if limit is not None:
                import resource

                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        command = [sys.executable, "-m", "locum.cli.main", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env={**self.environment, **(env or {})}, preexec_fn=prepare, **pipes
        )

    def __call__(
        self, *arguments: str | bytes, said: bytes = b"", limit: int | None = None, env: dict[str, str] | None = None
    ) -> Said:
        """Run to the end."""
        with self.start(*arguments, limit=limit, env=env) as process:
            out, err = process.communicate(said, timeout=300)
            return Said(process.returncode, out.decode(), err.decode())

    def interrupted(self, *arguments: str, when: Callable[[], bool], by: int) -> Said:
        """Run until `when`, then send the signal `by`."""
        with self.start(*arguments) as process:
            deadline = time.monotonic() + 200
            while process.poll() is None and not when():
                assert time.monotonic() < deadline
                time.sleep(0.005)
            assert process.poll() is None, process.communicate()[1].decode()
            process.send_signal(by)
            out, err = process.communicate(timeout=60)
            return Said(process.returncode, out.decode(), err.decode())
