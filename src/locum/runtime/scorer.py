"""Log-probabilities of given responses under a model, with its own weights in torch.

llama.cpp's server gives probabilities only for tokens that it generates itself, so whole responses are scored in
torch, a model file's with its dequantized weights. The parity certificate bounds how far the engine is from the fused
model in full precision.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
import numpy as np
import numpy.typing as npt

from locum.progress import Progress, silent
from locum.runtime import prefixes
from locum.runtime.prefixes import Tree, trees
from locum.training.chat_template import Encoded

if TYPE_CHECKING:
    from locum.training.device import Device


class TokenScores(msgspec.Struct, frozen=True):
    """What a model makes of the tokens of one response."""

    loss: npt.NDArray[np.float32]
    """Nats: negative log-likelihood of each token after those before it."""
    rank: npt.NDArray[np.int32]
    """1 where no token of the vocabulary is likelier, 2 where one is, and so on."""


class Scorer:
    """A model in torch.

    Args:
        model: the `.gguf` file whose weights are taken; None takes the folder's own.
        folder: a Hugging Face folder with the model's config (`RUN/fused`, or the base's).
        device: where and how precisely to compute; what is fastest here, where None.
    """

    def __init__(self, model: Path | None, folder: Path, device: "Device | None" = None) -> None:
        from transformers import AutoConfig, AutoModelForCausalLM
        from transformers.initialization import no_init_weights

        from locum.training.device import best_device
        from locum.training.gguf_base import load_weights
        from locum.training.load import load_model

        self.tokens_computed = 0
        device = device or best_device()
        prefixes.register()
        if model is None:
            self._model: Any = load_model(folder, device)
            self._model.set_attn_implementation(prefixes.NAME)
            return
        config = AutoConfig.from_pretrained(folder)
        config._attn_implementation = prefixes.NAME
        # The random start of every weight is skipped: the file's values take their place at once.
        with no_init_weights():
            self._model = AutoModelForCausalLM.from_config(config, dtype=device.torch_dtype)
        load_weights(self._model, model, config)
        self._model.tie_weights()
        self._model.to(device.name).eval()

    def score(
        self, rows: Sequence[Encoded], progress: Progress = silent, work: str = "score"
    ) -> list[npt.NDArray[np.float32]]:
        """Negative log-likelihood in nats of every response token of every row: `score_tokens` without the ranks."""
        return [scores.loss for scores in self.score_tokens(rows, progress, work)]

    def score_tokens(
        self, rows: Sequence[Encoded], progress: Progress = silent, work: str = "score"
    ) -> list[TokenScores]:
        """Loss and rank of every response token of every row.

        Beginnings that rows share are computed once (`locum.runtime.prefixes`), so that many responses after one
        prompt cost little more than one. `tokens_computed` counts what was computed.

        Args:
            rows: any tokens, of which those from `response_start` on (at least 1) are scored.
            progress: told after every pack how many tokens are done.
            work: what it is told that this is.

        Returns:
            One for each row, as long as its response.
        """
        import torch

        found = [TokenScores(np.empty(0, np.float32), np.empty(0, np.int32))] * len(rows)
        packs = list(trees(rows, _PACK_TOKENS))
        total = sum(tree.size for tree in packs)
        done = 0
        with torch.inference_mode():
            for tree in packs:
                progress(work, done, total)
                for index, scores in self._score_tree(tree, rows):
                    found[index] = scores
                done += tree.size
        self.tokens_computed += total
        progress(work, total, total)
        return found

    def _score_tree(self, tree: Tree, rows: Sequence[Encoded]) -> Iterator[tuple[int, TokenScores]]:
        import torch

        from locum.training.loss import logits

        device = self._model.device
        ids = torch.tensor([[token for segment in tree.segments for token in segment.tokens]], device=device)
        positions = torch.cat(
            [torch.arange(part.depth, part.depth + len(part.tokens), device=device) for part in tree.segments]
        )
        hidden = self._model.get_decoder()(
            input_ids=ids, position_ids=positions.unsqueeze(0), use_cache=False, tree=tree
        ).last_hidden_state[0]
        # Branches ask for different tokens at one place: logits are made once a place.
        asked: dict[tuple[int, int], int] = {}
        wanted: list[tuple[int, list[int]]] = []
        for index, leaf in tree.leaves:
            row = rows[index]
            places = tree.places(leaf, len(row.tokens))[row.response_start - 1 : -1]
            targets = zip(places, row.tokens[row.response_start :], strict=True)
            wanted.append((index, [asked.setdefault(pair, len(asked)) for pair in targets]))
        pairs = torch.tensor(list(asked), dtype=torch.long, device=device).view(-1, 2)
        losses = torch.empty(len(asked), device=device)
        ranks = torch.empty(len(asked), dtype=torch.int32, device=device)
        places_once, which = pairs[:, 0].unique(return_inverse=True)
        for first in range(0, len(places_once), _LOGIT_ROWS):
            scores = logits(self._model, hidden[places_once[first : first + _LOGIT_ROWS]]).float()
            mine = ((which >= first) & (which < first + _LOGIT_ROWS)).nonzero()[:, 0]
            normal = scores.logsumexp(-1)
            for some in mine.split(_LOGIT_ROWS):
                at = which[some] - first
                value = scores[at, pairs[some, 1]]
                losses[some] = normal[at] - value
                ranks[some] = (scores[at] > value.unsqueeze(1)).sum(-1, dtype=torch.int32) + 1
        loss, rank = losses.cpu().numpy(), ranks.cpu().numpy()
        for index, slots in wanted:
            yield index, TokenScores(loss[slots], rank[slots])

    def disturb(self, sizes: Mapping[str, float], seed: int) -> None:
        """Move every weight of the named tensors by up to half of its size, either way, evenly at random."""
        import torch

        generator = torch.Generator(device=self._model.device).manual_seed(seed)
        with torch.no_grad():
            for name, weight in self._model.named_parameters():
                if half := sizes.get(name, 0.0) / 2:
                    weight.add_(torch.empty_like(weight).uniform_(-half, half, generator=generator))

    def next_log_probabilities(self, prompt: Sequence[int]) -> npt.NDArray[np.float32]:
        """Log-probabilities of every token of the vocabulary right after `prompt`: float32 [vocabulary]."""
        import torch

        from locum.training.loss import logits

        with torch.no_grad():
            ids = torch.tensor([list(prompt)], device=self._model.device)
            hidden = self._model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state[0, -1:]
            scores = logits(self._model, hidden).float()[0]
            values: npt.NDArray[np.float32] = torch.log_softmax(scores, dim=-1).cpu().numpy()
        return values

    def close(self) -> None:
        """Free the weights."""
        self._model = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


_PACK_TOKENS = 4096

_LOGIT_ROWS = 1024
"""Places whose logits exist at once: a 256,000-word vocabulary then needs 1 GiB in float32, not tens."""
