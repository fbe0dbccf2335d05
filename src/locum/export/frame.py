"""What a chat template puts around each message, found by rendering probes.

A template that is a frame can be said in any template language: so many words before the first message, so many
between a question and an answer, so many around a tool call. Whether it is one is not assumed: `find_frame` holds what
the frame renders against what the template renders, for conversations of every shape.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from locum.errors import ExportError, TrainingError
from locum.export.conversations import Conversation
from locum.training.chat_template import Renderer
from locum.types import Message, ToolCall

Between = tuple[str, str]
"""The role that spoke (empty: nobody yet) and the role that speaks next."""


class Calls(msgspec.Struct, frozen=True):
    """What stands around the calls in an answer: `lead` NAME `middle` ARGUMENTS `close`."""

    after_text: str
    """Between what is said and the first call."""
    alone: str
    """Before the first call where nothing is said."""
    between: str
    lead: str
    middle: str
    close: str


class Frame(msgspec.Struct, frozen=True):
    """A chat template as the words between the messages."""

    system: str
    """Before the system text (and before the tools, where there is none)."""
    after_system: str
    """Between the system text and the first question."""
    default_system: str
    """The system text where the conversation brings none."""
    between: Mapping[Between, str]
    opening: Mapping[str, str]
    """After the last message, by its role: where the agent's answer begins."""
    tools_after_system: str
    """Between the system text and the first tool."""
    tools_alone: str
    """Before the first tool where there is no system text."""
    between_tools: str
    after_tools: str
    """Between the last tool and the first question."""
    calls: Calls

    def render(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()) -> str:
        """The prompt text of a conversation whose only system text, if any, comes first."""
        system = messages[0].content if messages[0].role == "system" else self.default_system
        turns = [message for message in messages if message.role != "system"]
        text = before = ""
        if system or tools:
            text = self.system + system
        if tools:
            text += self.tools_after_system if system else self.tools_alone
            text += self.between_tools.join(map(_json, tools)) + self.after_tools
        elif system:
            text += self.after_system
        for message in turns:
            if before or not text:
                text += self.between[before, message.role]
            text += message.content + self._calls(message)
            before = message.role
        return text + self.opening[before]

    def _calls(self, message: Message) -> str:
        around = self.calls
        written = [
            f'{around.lead}"{call.name}"{around.middle}{_json(call.arguments)}{around.close}'
            for call in message.tool_calls
        ]
        first = (around.after_text if message.content else around.alone) if written else ""
        return first + around.between.join(written)


def find_frame(renderer: Renderer, conversations: Sequence[Conversation]) -> Frame:
    """The frame of a renderer's chat template.

    Args:
        renderer: whose template is probed.
        conversations: (name, messages, tools) on which frame and template must agree to the letter.

    Raises:
        ExportError: the template is no frame; the first conversation that shows it is named.
    """
    try:
        frame = _probe(renderer)
    except (ValueError, TrainingError) as error:
        raise ExportError(f"the base's chat template has no fixed words between its messages ({error})") from None
    for name, messages, tools in conversations:
        try:
            same = frame.render(messages, tools) == renderer.prompt_text(messages, tools)
        except (KeyError, TrainingError):
            same = False
        if not same:
            raise ExportError(f"the base's chat template does more than put words between messages, as in {name!r}")
    return frame


_ASK, _MORE, _SAY, _SYSTEM, _FIRST, _SECOND = "ASK-1", "ASK-2", "SAY-1", "SYS-1", "RES-1", "RES-2"
_TOOLS: tuple[dict[str, Any], ...] = tuple(
    {"type": "function", "function": {"name": name, "description": name, "parameters": {"type": "object"}}}
    for name in ("tool_1", "tool_2")
)
_CALLS = tuple(ToolCall(id=f"call_{n}", name=f"name_{n}", arguments={"key": f"value_{n}"}) for n in (1, 2))


def _probe(renderer: Renderer) -> Frame:
    ask, more = Message(role="user", content=_ASK), Message(role="user", content=_MORE)
    say = Message(role="assistant", content=_SAY)
    alone, spoken = Message(role="assistant", tool_calls=_CALLS[:1]), Message("assistant", _SAY, _CALLS)
    first, second = (
        Message(role="tool", content=text, tool_call_id=call.id, tool_name=call.name)
        for text, call in zip((_FIRST, _SECOND), _CALLS, strict=True)
    )
    system = Message(role="system", content=_SYSTEM)
    one, two = map(_json, _TOOLS)

    def parts(messages: Sequence[Message], *marks: str, tools: Sequence[dict[str, Any]] = ()) -> list[str]:
        return _parts(renderer.prompt_text(messages, tools), marks)

    start, opening = parts([ask], _ASK)
    _, answer, question, last = parts([ask, say, more], _ASK, _SAY, _MORE)
    before_system, after_system, _ = parts([system, ask], _SYSTEM, _ASK)
    _, tools_after_system, between_tools, after_tools, _ = parts([system, ask], _SYSTEM, one, two, _ASK, tools=_TOOLS)
    tools_alone = parts([ask], one, tools=_TOOLS[:1])[0]
    name_1, name_2 = (f'"{call.name}"' for call in _CALLS)
    value_1, value_2 = (_json(call.arguments) for call in _CALLS)
    _, lead_alone, middle, to_result, answered = parts([ask, alone, first], _ASK, name_1, value_1, _FIRST)
    _, _, lead_said, _, lead_second, _, to_results, to_second, _ = parts(
        [ask, spoken, first, second], _ASK, _SAY, name_1, value_1, name_2, value_2, _FIRST, _SECOND
    )
    _, _, again, _ = parts([ask, alone, first, more], value_1, _FIRST, _MORE)
    lead_alone = _without(lead_alone, answer)
    close = _common_start(lead_second, to_result)
    lead = _common_start(lead_alone[::-1], lead_said[::-1], lead_second.removeprefix(close)[::-1])[::-1]
    if last != opening or to_results != to_result:
        raise ValueError("it opens an answer in several ways")
    said = _without(answer, opening)
    default = start.removeprefix(before_system).removesuffix(after_system) if start.startswith(before_system) else ""
    tools_head = before_system + (default + tools_after_system if default else "")
    return Frame(
        system=before_system,
        after_system=after_system,
        default_system=default,
        between={
            ("", "user"): start,
            ("user", "assistant"): answer,
            ("assistant", "user"): question,
            ("assistant", "tool"): to_result.removeprefix(close),
            ("tool", "tool"): to_second,
            ("tool", "user"): again,
            ("tool", "assistant"): answered + said,
        },
        opening={"user": opening, "tool": answered},
        tools_after_system=tools_after_system,
        tools_alone="" if default else _without(tools_alone, tools_head),
        between_tools=between_tools,
        after_tools=after_tools,
        calls=Calls(
            after_text=lead_said.removesuffix(lead),
            alone=lead_alone.removesuffix(lead),
            between=lead_second.removeprefix(close).removesuffix(lead),
            lead=lead,
            middle=middle,
            close=close,
        ),
    )


def _parts(text: str, marks: Sequence[str]) -> list[str]:
    """What stands before, between and after the marks, each of which stands there once and in order."""
    found = []
    for mark in marks:
        before, there, text = text.partition(mark)
        if not there:
            raise ValueError(f"it changes {mark[:20]!r} or leaves it out")
        found.append(before)
    return [*found, text]


def _common_start(*texts: str) -> str:
    """What all texts begin with."""
    same = 0
    for letters in zip(*texts, strict=False):
        if len(set(letters)) > 1:
            break
        same += 1
    return texts[0][:same]


def _without(text: str, start: str) -> str:
    if not text.startswith(start):
        raise ValueError(f"it begins with {text[:40]!r}, not with {start[:40]!r}")
    return text[len(start) :]


def _json(value: Any) -> str:
    """A value as chat templates write it (`tojson`)."""
    return json.dumps(value, ensure_ascii=False)
