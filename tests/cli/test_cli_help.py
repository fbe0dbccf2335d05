"""What `--help` promises, how fast it may be, and usage errors."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from command import Command

CONTRACT = {
    "run": "SOURCE --name --base --out --max-steps --quant --deploy --force",
    "extract": "SOURCE --out",
    "rows": "--drops --mask",
    "forget": "SESSION --in --lineage",
    "train": "DATASET --base --out",
    "export": "RUN --quant",
    "deploy": "RUN --name --list --remove",
    "evaluate": "RUN",
    "gate": "RUN --family",
    "chat": "NAME --beside",
    "demo": "--out",
}
"""Verb -> what people script against."""


def test_help_names_every_verb(locum: Command) -> None:
    code, out, _ = locum("--help")
    assert code == 0
    assert [verb for verb in CONTRACT if not re.search(rf"^\s+{verb}\s", out, re.MULTILINE)] == []


@pytest.mark.parametrize("verb", CONTRACT)
def test_help_of_a_verb_names_every_option_of_the_contract(locum: Command, verb: str) -> None:
    code, out, err = locum(verb, "--help", env={"COLUMNS": "120", "TERM": "dumb"})
    assert (code, err) == (0, "")
    assert [word for word in f"{CONTRACT[verb]} --json --quiet --debug".split() if word not in out] == []


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["extract", "--help"]])
def test_help_waits_for_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom locum.cli.main import main\n"
        f"sys.argv = ['locum', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('HEAVY', [name for name in ('torch', 'transformers', 'numpy', 'scipy', 'polars', 'httpx') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []"


@pytest.mark.parametrize(
    "arguments",
    [
        "deploy", "deploy RUN", "deploy --name x", "deploy --list --remove x", "deploy RUN --name x --list",
        "nonsense", "run", "run LOGS", "run --name x", "run LOGS --name x --quant Q9",
        "run LOGS --name x --deploy moon",
        "run LOGS --name x --context-chars 10", "run LOGS --name x --max-steps 0", "run LOGS --name x --eval-rows 0",
        "run LOGS --name x --at-once 0", "evaluate RUN --at-once 65", "evaluate RUN --rescore --at-once 2",
        "run LOGS --name x --learning-rate nan", "run LOGS --name x --learning-rate 7", "run LOGS --name x --bogus",
        "rows data --split moon", "rows data --limit 0", "rows data --drops --mask",
        "rows data --reason empty --family reply", "chat x --beside me", "chat x --max-tokens 0",
        "extract LOGS", "extract EMPTY --out data", "run EMPTY --name x",
        "train data", "train data --out RUN --shard", "demo --sessions 0",
    ],
)  # fmt: skip
def test_wrong_usage_is_two_and_touches_nothing(locum: Command, logs: Path, arguments: str) -> None:
    code, out, err = locum(*({"LOGS": str(logs), "EMPTY": ""}.get(word, word) for word in arguments.split()))
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    assert list(locum.folder.iterdir()) == []
