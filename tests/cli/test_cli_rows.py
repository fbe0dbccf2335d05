"""`locum rows`: walking through rows and drops, by family, reason, split and id."""

import json
from pathlib import Path
from typing import Any

import pytest
from command import Command

from locum.cli.output import Output
from locum.cli.rows import PROMPT_SHOWN, show_rows
from locum.types import Message, Row, ToolCall


def test_long_prompts_are_shortened_and_calls_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    call = ToolCall("1", "search", {"query": 'a "b"', "all": True, "by": None})
    messages = (
        Message("system", "p" * (PROMPT_SHOWN + 1_234)),
        Message("assistant", "r" * (PROMPT_SHOWN + 1_234), tool_calls=(call,)),
    )
    row = Row(id="1" * 64, session="s", lineage="s", turn=0, family="reply", messages=messages)
    with Output(json=False, quiet=False, debug=False) as voice:
        show_rows(voice, [row], mask=False, base="")
    said = "".join(capsys.readouterr().out.split())
    assert said.count("p" * PROMPT_SHOWN + "...(1,234charactersmore;--jsonhasall)") == 1
    assert "r" * (PROMPT_SHOWN + 1_234) + 'callssearch{"query":"a\\"b\\"","all":true,"by":null}' in said


def test_rows_and_drops_are_found_by_what_is_known_of_them(locum: Command, logs: Path) -> None:
    code, out, err = locum("extract", str(logs), "--out", "data", "--json")
    assert code == 0, err
    stats = json.loads(out)

    def look(*arguments: str) -> dict[str, Any]:
        code, out, err = locum("rows", "data", *arguments, "--json")
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    everything = look("--split", "all", "--limit", "1000")
    assert everything["shown"] == everything["of"] == stats["rows"]
    some = look("--split", "all", "--limit", "3")
    assert (some["shown"], some["of"]) == (3, stats["rows"])
    assert some["rows"] == everything["rows"][:3]

    family = min(stats["families"], key=lambda name: stats["families"][name])
    mine = look("--split", "all", "--family", family, "--limit", "1000")
    assert {row["family"] for row in mine["rows"]} == {family}
    assert mine["of"] == stats["families"][family]

    last = everything["rows"][-1]
    assert look("--id", last["id"][:12])["rows"] == [last]

    reason = next(iter(stats["drops"]))
    dropped = look("--reason", reason, "--limit", "1000")
    assert {drop["reason"] for drop in dropped["drops"]} == {reason}
    assert dropped["shown"] == dropped["of"] == stats["drops"][reason]
    assert look("--drops")["of"] == sum(stats["drops"].values())

    _, out, _ = locum("rows", "data", "--limit", "2")
    assert f"2 of {stats['splits']['train']}; more with --limit {min(20, stats['splits']['train'])}" in out

    families = ", ".join(f"{name} {count}" for name, count in stats["families"].items())
    assert (
        f"no row of data is of family 'triage'; there are: {families}"
        in locum("rows", "data", "--family", "triage").error
    )
    assert "no turn of data was dropped for 'boring'; there are: " in locum("rows", "data", "--reason", "boring").error
    assert "has an id that begins with 'zz'" in locum("rows", "data", "--id", "zz").error
