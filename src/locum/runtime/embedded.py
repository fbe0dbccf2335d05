"""The model files that are served in this process: each once, however many ask for it."""

from contextlib import ExitStack
from pathlib import Path
from typing import Self

from locum.runtime.llamacpp import LlamaCpp


class Embedded:
    """Embedded engines, closed together at the end of a `with` block."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._engines: dict[Path, LlamaCpp] = {}

    def open(self, model: Path) -> LlamaCpp:
        """The engine that serves a model file; one that runs already is given again.

        Raises:
            EngineError: the file does not load, or does not fit into memory beside those that are open.
        """
        model = model.resolve()
        if model not in self._engines:
            self._engines[model] = self._stack.enter_context(LlamaCpp(model))
        return self._engines[model]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()
