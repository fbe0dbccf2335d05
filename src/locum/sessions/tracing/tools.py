"""Tool schemas of every dialect that tracers record, in the shape of OpenAI's."""

from typing import Any

from locum.sessions.chat_messages import tool_schemas
from locum.sessions.jsonl import BadRecord
from locum.sessions.tracing.messages import listed
from locum.sessions.tracing.records import parsed


def schemas(raw: Any) -> tuple[dict[str, Any], ...]:
    """Tool schemas in OpenAI's shape from those of any dialect; none where they are of no known one, since the
    messages can be read without."""
    try:
        raw = parsed(raw)
        given = list(raw.values()) if isinstance(raw, dict) and not listed(raw) else listed(raw)
        found = (_schema(tool) for tool in given)
        return tool_schemas([tool for tool in found if tool is not None])
    except BadRecord:
        return ()


def _schema(raw: Any) -> dict[str, Any] | None:
    raw = parsed(raw)
    for wrapping in ("tool", "json_schema", "toolSpec"):
        if isinstance(raw, dict) and wrapping in raw:
            raw = parsed(raw[wrapping])
    if not isinstance(raw, dict):
        return None
    if isinstance(raw.get("tool.json_schema"), str):
        return _schema(raw["tool.json_schema"])
    if isinstance(raw.get("function"), dict):
        return raw
    name = raw.get("name")
    if not isinstance(name, str) or not name:
        return None
    parameters: Any = next((raw[key] for key in ("parameters", "input_schema", "inputSchema") if raw.get(key)), {})
    parameters = parsed(parameters)
    inner = parameters.get("json") if isinstance(parameters, dict) else None
    return {
        "name": name,
        "description": raw.get("description") or "",
        "parameters": inner if isinstance(inner, dict) else parameters,
    }
