"""The dataset's card: what is in the folder, for a person who did not make it."""

from collections.abc import Mapping

from locum.dataset.families import FAMILIES
from locum.dataset.legibility import REASONS
from locum.dataset.split import SPLITS
from locum.dataset.stats import Stats, funnel

_FRONT = """---
pretty_name: Sessions of an agent, as rows
configs:
- config_name: default
  data_files:
"""


def card(stats: Stats) -> str:
    """The text of README.md: Hugging Face dataset-card front matter, then Markdown."""
    full = [split for split in SPLITS if stats.splits.get(split)]
    hub_names = {"valid": "validation"}
    front = _FRONT + "".join(f"  - split: {hub_names.get(split, split)}\n    path: {split}.jsonl\n" for split in full)
    parts = [
        f"{front}---\n\n# Rows distilled from an agent's sessions\n",
        "Each row is the messages before one turn of the agent and, as the last message, what the agent did. "
        "`messages` and `tools` are in the shape that TRL and mlx-lm read; the rest of what is known of a "
        "row is under `locum`. Secrets and personal data were replaced by placeholders such as `<EMAIL_1>`, "
        "the same value by the same placeholder; the search goes by shape and context and cannot promise to "
        "have found everything.\n",
        *(f"**Note:** {note}\n" for note in stats.notes),
        "## From sessions to rows\n",
        _table(("", "count"), {label: str(count) for label, count in funnel(stats)}),
        f"{stats.narration} turns had text beside a tool call, which was left out. {stats.shortened} rows "
        "have a shortened prompt. Every turn is one row or one drop.\n",
        "## Why turns were dropped\n",
        _table(("reason", "meaning"), {f"`{name}`": REASONS.get(name, "") for name in stats.drops}),
        "## Families\n",
        _table(
            ("family", "rows"),
            {f"`{name}`: {FAMILIES.get(name, '')}": str(count) for name, count in stats.families.items()},
        ),
        "## Splits\n",
        f"By conversation, never divided, ordered by {stats.ordered_by}: train before valid before test.\n",
        _table(
            ("split", "rows (sessions)"),
            {split: f"{stats.splits[split]} ({stats.sessions_by_split[split]})" for split in SPLITS},
        ),
        "## Redactions\n",
        _table(("type", "replaced"), {name: str(count) for name, count in stats.redactions.items()}),
        "## Providers and terms\n",
        _table(("provider/model", "rows"), {f"`{name}`": str(count) for name, count in stats.models.items()}),
        "The terms of these providers on training models with their outputs apply to these rows: read them "
        "before training on the rows, sharing them, or sharing what was trained.\n",
    ]
    return "\n".join(parts)


def _table(head: tuple[str, str], rows: Mapping[str, str]) -> str:
    if not rows:
        return "None.\n"
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    lines += (f"| {_cell(key)} | {_cell(value)} |" for key, value in rows.items())
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Model names come from logs: none may break out of the table or its row."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
