"""lm-evaluation-harness measures a run's model file, and its figures are those of the model."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_models import write_adapter

from locum.errors import RunError
from locum.export.fuse import fuse
from locum.export.gguf_file import write_gguf
from locum.runtime.llamacpp import LlamaCpp
from locum.runtime.protocol import Sampling
from locum.runtime.scorer import Scorer
from locum.training.base import Base
from locum.training.chat_template import Renderer

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("float32"), pytest.mark.filterwarnings("ignore")]
lm_eval = pytest.importorskip("lm_eval")

QUESTIONS: list[dict[str, Any]] = [
    {"question": "Is the order late?", "choices": [" Yes, by 12 days.", " No."], "gold": 0},
    {"question": "Who looks at it?", "choices": [" I will look.", " The customer."], "gold": 1},
    {"question": "When?", "choices": [" Before noon.", " Never.", " W-17."], "gold": 2},
]


@pytest.fixture(scope="module")
def run(tiny_base: Base, tiny_renderer: Renderer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_adapter(tiny_base.folder, folder / "adapter")
    fuse(tiny_base, folder / "adapter", folder / "fused", tiny_renderer)
    (folder / "model").mkdir()
    write_gguf(folder / "fused", tiny_base, tiny_renderer, folder / "model" / "mine.F32.gguf", "F32", "mine")
    return folder


def asked(*args: Any) -> SimpleNamespace:
    return SimpleNamespace(args=args)


def test_likelihoods_are_those_of_the_model_token_by_token(run: Path) -> None:
    from locum.evaluation.lm_eval_model import LocumLM

    model = LocumLM(run)
    (told, _), (empty, _) = model.loglikelihood([asked("The order is late by", " 12 days"), asked("", "The order")])
    renderer = Renderer(run / "fused")
    with Scorer(run / "model" / "mine.F32.gguf", run / "fused") as scorer:

        def by_hand(context: list[int], whole: list[int]) -> float:
            return sum(
                float(scorer.next_log_probabilities(whole[:at])[whole[at]]) for at in range(len(context), len(whole))
            )

        before = renderer.tokens("The order is late by")
        assert told == pytest.approx(by_hand(before, renderer.tokens("The order is late by 12 days")), abs=1e-3)
        start = renderer.tokenizer.bos_token_id
        assert empty == pytest.approx(by_hand([start], [start, *renderer.tokens("The order")]), abs=1e-3)
        best = int(np.argmax(scorer.next_log_probabilities(before)))
    greedy = str(renderer.tokenizer.decode([best]))
    if renderer.tokens("The order is late by" + greedy) == [*before, best]:
        assert model.loglikelihood([asked("The order is late by", greedy)])[0][1]
    text = "The order W-1204 is late. " * 9
    short = LocumLM(run, context=24)
    (rolled,), (whole,) = short.loglikelihood_rolling([asked(text)]), model.loglikelihood_rolling([asked(text)])
    assert rolled < 0
    assert whole == pytest.approx(model.loglikelihood([asked("", text)])[0][0], abs=1e-2)
    model.close()
    short.close()


def test_text_is_the_engines_and_ends_at_a_stop(run: Path) -> None:
    from locum.evaluation.lm_eval_model import LocumLM

    model = LocumLM(run, context=256)
    (text,) = model.generate_until([asked("The order", {"until": [], "max_gen_toks": 12})])
    with LlamaCpp(run / "model" / "mine.F32.gguf", context=256) as engine:
        expected = engine.complete(engine.tokenize("The order"), Sampling(max_tokens=12)).text
    assert text == expected
    stop = text[2:4]
    (cut,) = model.generate_until([asked("The order", {"until": [stop], "max_gen_toks": 12})])
    assert cut == text.partition(stop)[0]
    model.close()


def test_the_harness_runs_a_task_over_it(run: Path, tmp_path: Path) -> None:
    from lm_eval.tasks import TaskManager

    from locum.evaluation.lm_eval_model import LocumLM

    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS))
    (tmp_path / "desk.yaml").write_text(
        "task: desk\ndataset_path: json\n"
        f"dataset_kwargs:\n  data_files:\n    test: {tmp_path / 'rows.jsonl'}\n"
        "test_split: test\noutput_type: multiple_choice\n"
        'doc_to_text: "{{question}}"\ndoc_to_choice: "{{choices}}"\ndoc_to_target: "{{gold}}"\n'
        "metric_list:\n  - metric: acc\n"
    )
    model = LocumLM(run)
    done = lm_eval.simple_evaluate(
        model=model,
        tasks=["desk"],
        task_manager=TaskManager(include_path=str(tmp_path), include_defaults=False),
        bootstrap_iters=0,
    )
    right = 0
    for row in QUESTIONS:
        scores = [
            told for told, _ in model.loglikelihood([asked(row["question"], choice) for choice in row["choices"]])
        ]
        right += int(np.argmax(scores)) == row["gold"]
    assert done["results"]["desk"]["acc,none"] == pytest.approx(right / len(QUESTIONS))
    assert model.apply_chat_template([{"role": "user", "content": "Hi"}]).endswith("assistant\n")
    model.close()


def test_a_run_without_a_model_is_refused(tmp_path: Path) -> None:
    from locum.evaluation.lm_eval_model import LocumLM

    with pytest.raises(RunError, match="locum export"):
        LocumLM(tmp_path)
