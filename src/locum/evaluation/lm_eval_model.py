"""A run's model file as a model of lm-evaluation-harness (https://github.com/EleutherAI/lm-evaluation-harness), so that
it can be measured on the tasks that people know:

    import lm_eval
    from locum.evaluation.lm_eval_model import LocumLM
    lm_eval.simple_evaluate(model=LocumLM("RUN"), tasks=["arc_easy"], apply_chat_template=True)

Log-likelihoods are of the file's own weights (`runtime.scorer`), text is from the engine that serves it
(`runtime.llamacpp`). Needs `pip install 'locum[train,interop]'`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lm_eval.api.model import LM
from lm_eval.api.registry import register_model
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from locum.errors import RunError
from locum.runtime.llamacpp import LlamaCpp
from locum.runtime.protocol import Sampling
from locum.runtime.scorer import Scorer
from locum.training.chat_template import Encoded, Renderer

DEFAULT_NEW_TOKENS = 256


@register_model("locum")
class LocumLM(LM):  # type: ignore[misc]
    """The tuned model of a run.

    Args:
        run: a run folder with `model/` and `fused/`.
        context: tokens that prompt and answer may take together; more are cut off at the beginning.

    Raises:
        RunError: nothing is exported there.
    """

    def __init__(self, run: str | Path, context: int = 4096, **_: Any) -> None:
        super().__init__()
        folder = Path(run)
        found = sorted((folder / "model").glob("*.gguf"))
        if not found or not (folder / "fused").is_dir():
            raise RunError(f"{str(folder)!r} holds no model file: run `locum export {folder}` first")
        self._file, self._folder = found[0], folder / "fused"
        self._renderer = Renderer(self._folder)
        self._context = int(context)
        self._scorer: Scorer | None = None
        self._engine: LlamaCpp | None = None

    @property
    def tokenizer_name(self) -> str:
        """What fingerprints cached requests: the folder of the tokenizer."""
        return str(self._folder.resolve())

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The template that the model was trained with; there is no other."""
        return self._renderer.template if chat_template else ""

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """A conversation as the text that the model was trained on."""
        return str(
            self._renderer.tokenizer.apply_chat_template(
                chat_history,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
            )
        )

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Log-likelihood of each continuation in nats, and whether it is the greedy one."""
        rows = [self._pair(*request.args) for request in requests]
        scores = self._scored().score_tokens(rows)
        found = [(-float(score.loss.sum()), bool((score.rank == 1).all())) for score in scores]
        for request, answer in zip(requests, found, strict=True):
            self.cache_hook.add_partial("loglikelihood", request.args, answer)
        return found

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        """Log-likelihood of each whole text in nats, every token with as much context as there is."""
        rows: list[Encoded] = []
        owners: list[int] = []
        for at, request in enumerate(requests):
            windows = get_rolling_token_windows(
                token_list=self._renderer.tokens(request.args[0]),
                prefix_token=self._prefix(),
                max_seq_len=self._context - 1,
                context_len=1,
            )
            for before, after in map(make_disjoint_window, windows):
                rows.append(Encoded([*before, *after], len(before)))
                owners.append(at)
        found = [0.0] * len(requests)
        for owner, score in zip(owners, self._scored().score_tokens(rows), strict=True):
            found[owner] -= float(score.loss.sum())
        return found

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """Greedy text after each prompt, up to the first stop sequence."""
        found = []
        for request in requests:
            prompt, settings = request.args
            stops = settings.get("until") or []
            limit = int(settings.get("max_gen_toks", DEFAULT_NEW_TOKENS))
            tokens = self._renderer.tokens(prompt)[-(self._context - limit - 8) :]
            sampling = Sampling(max_tokens=limit, temperature=float(settings.get("temperature") or 0.0))
            text = self._served().complete(tokens, sampling).text
            for stop in [stops] if isinstance(stops, str) else stops:
                text = text.partition(stop)[0] if stop else text
            self.cache_hook.add_partial("generate_until", request.args, text)
            found.append(text)
        return found

    def close(self) -> None:
        """Free the weights."""
        for held in (self._scorer, self._engine):
            if held is not None:
                held.close()
        self._scorer = self._engine = None

    def _pair(self, context: str, continuation: str) -> Encoded:
        """Tokens of both, parted where the context's own tokens end; spaces between them belong to the continuation."""
        bare = context.rstrip()
        continuation = context[len(bare) :] + continuation
        whole = self._renderer.tokens(bare + continuation)
        before = self._renderer.tokens(bare) if bare else []
        if whole[: len(before)] != before:
            whole = before + self._renderer.tokens(continuation)
        if not before:
            whole, before = [self._prefix(), *whole], [self._prefix()]
        cut = max(0, len(whole) - self._context)
        return Encoded(whole[cut:], max(1, len(before) - cut))

    def _prefix(self) -> int:
        tokenizer = self._renderer.tokenizer
        return int(self._renderer.end if tokenizer.bos_token_id is None else tokenizer.bos_token_id)

    def _scored(self) -> Scorer:
        if self._scorer is None:
            self._scorer = Scorer(self._file, self._folder)
        return self._scorer

    def _served(self) -> LlamaCpp:
        if self._engine is None:
            self._engine = LlamaCpp(self._file, context=self._context)
        return self._engine
