"""Frozen lower layers are computed once: what enters the first adapted layer is kept from one pass to the next.

With an adapter on the top layers alone, everything below them gives the same answer in every epoch. A `Boundary` keeps
these activations (in memory while they are few, in a memory-mapped file beyond that, up to a budget) and hands them to
the model in place of its lower layers. They are bit for bit what those layers would have passed on, in the precision of
the model; sequences beyond the budget are computed each time.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from locum import files
from locum.errors import TrainingError
from locum.training.loss import hidden_states
from locum.training.packing import TokenSequence, pack

MEMORY_BYTES = 2**30
"""Activations up to this size stay in memory."""
FILE_BYTES = 16 * 2**30
"""Beyond it they go to a file up to this size, and never to more than half of what is free on the disk."""
_PACK_TOKENS = 2048


class Boundary:
    """The place below the `top` last decoder layers of a model, whose lower layers it can stand in for.

    Args:
        model: a causal language model loaded by `locum.training.load.load_model`.
        top: how many decoder layers lie above; at least one lies below.
    """

    def __init__(self, model: Any, top: int) -> None:
        self._model = model
        self._places: dict[tuple[int, ...], slice] = {}
        self._store = torch.empty(0)
        self._feed: torch.Tensor | None = None
        self._capturing = False
        below = list(model.get_decoder().layers[:-top])
        for layer in below:
            layer.forward = self._standing_in(layer.forward, last=layer is below[-1])

    def _standing_in(self, plain: Any, last: bool) -> Any:
        def forward(states: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            if self._feed is not None:
                return self._feed[None] if last else states
            out: torch.Tensor = plain(states, *args, **kwargs)
            if last and self._capturing:
                raise _ReachedError(out)
            return out

        return forward

    def fill(self, sequences: Iterable[TokenSequence], file: Path) -> int:
        """Compute and keep the activations of these sequences, as many as the budgets hold.

        In packs that depend on the sequences alone, so that a resumed run has the very same bits.

        Args:
            sequences: each is computed once, however often it comes.
            file: where activations go that are too many for memory; replaced.

        Returns:
            Tokens whose activations are kept.
        """
        unique = list({tuple(sequence.tokens): sequence for sequence in sequences}.values())
        kept: list[TokenSequence] = []
        tokens = 0
        width = int(self._model.config.get_text_config().hidden_size)
        a_token = width * self._model.dtype.itemsize
        free = shutil.disk_usage(file.parent).free
        budget = max(MEMORY_BYTES, min(FILE_BYTES, free // 2)) // a_token
        for sequence in unique:
            if tokens + len(sequence.tokens) <= budget:
                kept.append(sequence)
                tokens += len(sequence.tokens)
        files.remove(file)
        if tokens * a_token <= MEMORY_BYTES:
            self._store = torch.empty(tokens, width, dtype=self._model.dtype)
        else:
            self._store = torch.from_file(str(file), shared=True, size=tokens * width, dtype=self._model.dtype)
            self._store = self._store.view(tokens, width)
        offset = 0
        for batch in pack(kept, _PACK_TOKENS):
            for sequence, states in zip(batch, self._computed(batch), strict=True):
                self._places[tuple(sequence.tokens)] = slice(offset, offset + len(states))
                self._store[offset : offset + len(states)] = states
                offset += len(states)
        return tokens

    def _computed(self, batch: Sequence[TokenSequence]) -> Sequence[torch.Tensor]:
        ids = torch.tensor([token for sequence in batch for token in sequence.tokens], device=self._model.device)
        lengths = [len(sequence.tokens) for sequence in batch]
        self._capturing = True
        try:
            with torch.no_grad():
                hidden_states(self._model, ids, lengths)
        except _ReachedError as reached:
            states: tuple[torch.Tensor, ...] = reached.states[0].split(lengths)
            return states
        finally:
            self._capturing = False
        raise TrainingError("the base does not run its decoder layers in order; train all of them (--layers all)")

    @contextmanager
    def standing_in(self, batch: Sequence[TokenSequence]) -> Iterator[bool]:
        """Within it the model's lower layers are not computed for this pack, where all of it is kept.

        Yields:
            Whether they are left out.
        """
        places = [self._places.get(tuple(sequence.tokens)) for sequence in batch]
        known = [place for place in places if place is not None]
        if len(known) < len(places):
            yield False
            return
        self._feed = torch.cat([self._store[place] for place in known]).to(self._model.device)
        try:
            yield True
        finally:
            self._feed = None


class _ReachedError(Exception):
    """Carries the states that reached the boundary; the layers above need not run."""

    def __init__(self, states: torch.Tensor) -> None:
        super().__init__()
        self.states = states
