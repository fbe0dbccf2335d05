"""Log-probabilities of given responses under a model, with its own weights in torch.

llama.cpp's server gives probabilities only for tokens that it generates itself, so whole responses are scored in
torch, a model file's with its dequantized weights. The parity certificate bounds how far the engine is from the fused
model in full precision.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from locum.progress import Progress, silent
from locum.training.chat_template import Encoded
from locum.training.packing import chain, pack

if TYPE_CHECKING:
    from locum.training.device import Device


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

        from locum.training import attention
        from locum.training.device import best_device
        from locum.training.gguf_base import load_weights
        from locum.training.load import load_model

        device = device or best_device()
        if model is None:
            self._model: Any = load_model(folder, device)
            return
        attention.register()
        config = AutoConfig.from_pretrained(folder)
        config._attn_implementation = attention.NAME
        # The random start of every weight is skipped: the file's values take their place at once.
        with no_init_weights():
            self._model = AutoModelForCausalLM.from_config(config, dtype=device.torch_dtype)
        load_weights(self._model, model, config)
        self._model.tie_weights()
        self._model.to(device.name).eval()

    def score(
        self, rows: Sequence[Encoded], progress: Progress = silent, work: str = "score"
    ) -> list[npt.NDArray[np.float32]]:
        """Negative log-likelihood in nats of every response token of every row.

        Rows that continue one another are computed once (`locum.training.packing.chain`).

        Returns:
            One array for each row, as long as its response.
        """
        import torch

        from locum.training.loss import split_by_row, target_losses

        losses: list[npt.NDArray[np.float32]] = [np.empty(0, np.float32)] * len(rows)
        sequences = chain(rows)
        total = sum(len(sequence.tokens) for sequence in sequences)
        done = 0
        with torch.no_grad():
            for batch in pack(sequences, _PACK_TOKENS):
                progress(work, done, total)
                for row, values in split_by_row(batch, target_losses(self._model, batch)):
                    losses[row] = values.float().cpu().numpy()
                done += sum(len(sequence.tokens) for sequence in batch)
        progress(work, total, total)
        return losses

    def next_log_probabilities(self, prompt: Sequence[int]) -> npt.NDArray[np.float32]:
        """Log-probabilities of every token of the vocabulary right after `prompt`: float32 [vocabulary]."""
        import torch

        with torch.no_grad():
            ids = torch.tensor([list(prompt)], device=self._model.device)
            hidden = self._model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state[0, -1:]
            logits = self._model.get_output_embeddings()(hidden).float()[0]
            values: npt.NDArray[np.float32] = torch.log_softmax(logits, dim=-1).cpu().numpy()
        return values

    def close(self) -> None:
        """Free the weights."""
        self._model = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


_PACK_TOKENS = 4096
