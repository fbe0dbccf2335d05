"""The dataset's card: what is in the folder, for a person who did not make it and for the libraries that read it.

The front matter is Hugging Face's (huggingface.co/docs/hub/datasets-cards). It names the split files and, under
`dataset_info`, the type of every column: JSON, whose objects come back as they were written. Left to guess, a reader
of tables would look for one schema in the arguments of all tools, find none, and stop or fill every object with the
keys of all others.
"""

from collections.abc import Mapping, Sequence

from locum.dataset.families import FAMILIES
from locum.dataset.legibility import REASONS
from locum.dataset.split import SPLITS
from locum.dataset.stats import Stats, funnel
from locum.types import Split

_HUB_NAMES: dict[Split, str] = {"valid": "validation"}
_FRONT = """---
pretty_name: Sessions of an agent, as rows
task_categories:
- text-generation
tags:
- agent
- tool-use
size_categories:
- {size}
dataset_info:
  features:
  - name: messages
    list: json
  - name: tools
    list: json
  - name: locum
    dtype: json
configs:
- config_name: default
  data_files:
{files}---
"""
_SCORES = "\n## The measured score\n\n"
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))


def card(stats: Stats, *, provenance: Mapping[str, str] | None = None, terms: Sequence[str] = ()) -> str:
    """The text of README.md: front matter, then Markdown.

    Args:
        stats: the dataset's numbers.
        provenance: what the rows can be traced to, name -> digest or version.
        terms: what the providers allow, a line of text each (`locum.dataset.terms.check`).
    """
    parts = [
        _front(stats),
        "# Rows distilled from an agent's sessions\n",
        "Each row is the messages before one turn of the agent and, as the last message, what the agent did. "
        "`messages` and `tools` are in the shape that TRL and mlx-lm read; the rest of what is known of a "
        "row is under `locum`. Secrets and personal data were replaced by placeholders such as `<EMAIL_1>`, "
        "the same value by the same placeholder; the search goes by shape and context and cannot promise to "
        "have found everything.\n",
        *(f"**Note:** {note}\n" for note in stats.notes),
        "## Reading it\n",
        '    datasets.load_dataset("DIR")              # datasets 4.7 or later\n'
        '    SFTTrainer(train_dataset=dataset["train"], ...)\n'
        "    mlx_lm.lora --train --data DIR --mask-prompt\n",
        *_empty(stats),
        "A trainer shows a model what its chat template writes: one without tools leaves the calls out.\n",
        "## From sessions to rows\n",
        _table(("", "count"), {label: _count(count) for label, count in funnel(stats)}),
        f"Turns with text beside a tool call, which was left out: {_count(stats.narration)}. Rows with a shortened "
        f"prompt: {_count(stats.shortened)}; a prompt has {_count(stats.context_chars)} characters, a response "
        f"{_count(stats.response_chars)}. Every turn is one row or one drop. Sessions that gave no row: "
        f"{_count(stats.sessions - sum(stats.sessions_by_split.values()))}.\n",
        "## Why turns were dropped\n",
        _table(("reason", "meaning"), {f"`{name}`": REASONS.get(name, "") for name in stats.drops}),
        "## Families\n",
        _table(
            ("family", "rows"),
            {f"`{name}`: {_family(name, stats)}": _count(count) for name, count in stats.families.items()},
        ),
        "## Splits\n",
        f"By conversation, never divided, ordered by {stats.ordered_by}: train before valid before test. No row of "
        "a later split is nearly the same, in what it answers and in what it says, as one of an earlier split.\n",
        _table(
            ("split", "rows (sessions)"),
            {split: f"{_count(stats.splits[split])} ({_count(stats.sessions_by_split[split])})" for split in SPLITS},
        ),
        "## Standing documents\n",
        f"System prompts, policies and instruction files in `documents.jsonl`: {_count(stats.documents)}. The prompts "
        + ("hold them, shortened like all else" if stats.context == "keep" else "leave them out on purpose")
        + f" (`--context {stats.context}`). {_count(stats.contrasts)} turns that a human corrected, refused or went "
        "back from stand in "
        "`contrast.jsonl`: for evaluation, never for training.\n",
        "## Redactions\n",
        _table(("type", "replaced"), {name: _count(count) for name, count in stats.redactions.items()}),
        "## Where it comes from\n",
        f"{_count(stats.files)} files, {_count(stats.lines.total)} lines: {_count(stats.lines.used)} used, "
        f"{_count(stats.lines.noise)} known noise, {_count(stats.lines.unknown)} of unknown kind, "
        f"{_count(stats.lines.bad)} bad.\n",
        _table(("format", "files"), {f"`{name}`": _count(count) for name, count in stats.formats.items()}),
        *(
            [_table(("files left aside", ""), {reason: _count(count) for reason, count in stats.left_aside.items()})]
            if stats.left_aside
            else ()
        ),
        *([_table(("", "digest or version"), {k: f"`{v}`" for k, v in provenance.items()})] if provenance else ()),
        "## Providers and terms\n",
        _table(("provider/model", "rows"), {f"`{name}`": _count(count) for name, count in stats.models.items()}),
        *(f"- {_inline(line)}" for line in terms),
        "\nThe terms of these providers on training models with their outputs apply to these rows: read them "
        "before training on the rows, sharing them, or sharing what was trained.\n",
    ]
    return with_scores("\n".join(parts), stats)


def with_scores(text: str, stats: Stats) -> str:
    """The card with what is said of the measured scores, its last part, made new."""
    text = text.partition(_SCORES)[0]
    if stats.scored_under is None:
        return text
    said = f"{_count(stats.scored)} rows were scored under `{_inline(stats.scored_under)}`: `scores.jsonl`."
    return f"{text}{_SCORES}{said} Under another base the scores are others.\n"


def _empty(stats: Stats) -> tuple[str, ...]:
    empty = [f"`{split}.jsonl`" for split in SPLITS if not stats.splits.get(split)]
    if not empty:
        return ()
    return (
        f"{' and '.join(empty)} hold{'s' if len(empty) == 1 else ''} no row. mlx-lm stops at an empty file "
        "(`IndexError`) and trains without one: remove it from the folder that you give to mlx-lm.\n",
    )


def _family(name: str, stats: Stats) -> str:
    return FAMILIES.get(name) or f"the user's own, refines `{stats.refines.get(name, '')}`"


def _front(stats: Stats) -> str:
    size = next((name for below, name in _SIZES if stats.rows < below), "n>10M")
    full = [split for split in SPLITS if stats.splits.get(split)]  # an empty file has no row to load
    files = "".join(f"  - split: {_HUB_NAMES.get(split, split)}\n    path: {split}.jsonl\n" for split in full)
    return _FRONT.format(size=size, files=files)


def _count(count: int) -> str:
    return f"{count:,}"


def _table(head: tuple[str, str], rows: Mapping[str, str]) -> str:
    if not rows:
        return "None.\n"
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    lines += (f"| {_cell(key)} | {_cell(value)} |" for key, value in rows.items())
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Model names come from logs: none may break out of the table or its row."""
    return _inline(text.replace("|", "\\|"))


def _inline(text: str) -> str:
    return " ".join(text.replace("<", "&lt;").split())
