"""`locum.toml` and `--context`, through the command."""

import json
from pathlib import Path

from command import Command

RULE = '[[families]]\nname = "escalation"\nof = "tool_decision"\ntool = "escalate"\n'


def test_settings_are_found_named_and_refused(locum: Command, logs: Path) -> None:
    extract = ("extract", str(logs), "--out", "data", "--json")
    (locum.folder / "locum.toml").write_text(RULE)
    code, out, err = locum(*extract)
    assert code == 0, err
    families = json.loads(out)["families"]
    assert families["escalation"] > 0
    assert families["tool_decision"] > 0
    code, out, _ = locum("rows", "data", "--family", "escalation", "--split", "all", "--json")
    rows = json.loads(out)["rows"]
    assert len(rows) == families["escalation"]  # fewer than the limit
    assert {row["refines"] for row in rows} == {"tool_decision"}
    assert {call["name"] for row in rows for call in row["messages"][-1]["tool_calls"]} == {"escalate"}

    (locum.folder / "mine.toml").write_text(RULE + "color = 3\n")
    error = locum(*extract, "--settings", "mine.toml").error
    assert error.startswith("error: mine.toml: families[1]: Object contains unknown field `color`")
    assert "missing.toml cannot be read" in locum(*extract, "--settings", "missing.toml").error


def test_a_provider_that_restricts_nothing_is_a_usage_error(locum: Command, logs: Path) -> None:
    code, _, err = locum("extract", str(logs), "--out", "data", "--allow-terms", "nobody")
    assert code == 2
    assert "nobody" in err
    assert "anthropic" in err


def test_standing_documents_are_absorbed_on_request(locum: Command, tmp_path: Path) -> None:
    conversation = [
        {"role": "system", "content": "You keep shop."},
        {"role": "user", "content": "Are you open?"},
        {"role": "assistant", "content": "Until six."},
    ]
    (tmp_path / "chat.jsonl").write_text(json.dumps({"messages": conversation}) + "\n")
    for context, roles in (("keep", ["system", "user", "assistant"]), ("absorb", ["user", "assistant"])):
        code, out, err = locum("extract", "chat.jsonl", "--out", context, "--context", context, "--json")
        assert code == 0, err
        assert json.loads(out)["context"] == context
        _, out, _ = locum("rows", context, "--json")
        [row] = json.loads(out)["rows"]
        assert [message["role"] for message in row["messages"]] == roles
        [document] = [json.loads(line) for line in (tmp_path / context / "documents.jsonl").read_text().splitlines()]
        assert row["documents"] == [document["digest"]]
    assert locum("extract", "chat.jsonl", "--out", "x", "--context", "forget").code == 2
