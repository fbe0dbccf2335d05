"""Exit codes in results: the shapes that harnesses write, and what only looks like one."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.sessions.exit_codes import says_failure
from locum.sessions.openai_chat import OpenAIChat


@pytest.mark.parametrize(
    ("result", "failed"),
    [
        ("Exit code: 1\nWall time: 0.1\nOutput:\n", True),
        ("Exit code 127", True),
        ("Process exited with code -9\n", True),
        ("<returncode>2</returncode>\n<output>x</output>", True),
        ('{"exit_code": 2, "output": ""}', True),
        ('{"output": "x", "metadata": {"exit_code": 1}}', True),
        ('{"stdout": "", "exitCode": 1}', True),
        ("Exit code: 0\nOutput:\nexit code: 1", False),
        ("<returncode>0</returncode>", False),
        ('{"exit_code": 0}', False),
        ('{"exit_code": null}', False),
        ('{"exit_code": 1', False),
        ('{"output": "{\\"exit_code\\": 1}"}', False),
        ("grep: exit code 1", False),
        ("the script's Exit code: 1", False),
        ("", False),
    ],
)
def test_shapes(result: str, failed: bool) -> None:
    assert says_failure(result) is failed


@given(st.text() | st.text().map(lambda text: '{"exit_code":' + text))
def test_any_text_says_something(result: str) -> None:
    assert says_failure(result) in (True, False)


def test_it_marks_the_message_that_made_the_call(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "shell", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "Run it."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "Exit code: 3\nOutput:\nno"},
        {"role": "assistant", "content": "It failed."},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"messages": messages}))
    (session,) = OpenAIChat().read(path).sessions
    assert [message.signals for message in session.messages if message.role == "assistant"] == [("tool_error",), ()]
