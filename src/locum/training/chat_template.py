"""One renderer for training and serving: messages to text, text to tokens, tokens to a loss mask.

The prompt that training conditions on is the text that an engine renders for the same messages; the parity
certificate (`locum.export.parity`) holds the two together. A base whose own chat template knows no tools, or writes
calls in a way that cannot be read back, gets one that does and that equals its own on conversations without tools:
`templates/chatml_tools.jinja` for ChatML, else `templates/tools_around.jinja` before its own. The exported model file
carries whichever template was used here.
"""

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from locum.errors import BaseError, TrainingError
from locum.types import Message, Row, ToolCall


class Encoded(msgspec.Struct, frozen=True):
    """A row as tokens. The loss covers `tokens[response_start:]` and nothing else."""

    tokens: list[int]
    response_start: int


UNASKED = Message(role="user", content="")
"""What a post answers, which the agent wrote without being asked: chat templates and servers want a question."""


def with_questions(messages: Sequence[Message], *, answering: bool) -> tuple[Message, ...]:
    """A conversation in which every message of the agent follows a question or a result; `UNASKED` where there is none.

    Servers take two messages of the agent in a row for one message, for one to go on with, or refuse them.

    Args:
        messages: the conversation.
        answering: the agent comes next.
    """
    whole: list[Message] = []
    for message in messages:
        if message.role == "assistant" and not _asks(whole):
            whole.append(UNASKED)
        whole.append(message)
    return (*whole, UNASKED) if answering and not _asks(whole) else tuple(whole)


def _asks(messages: Sequence[Message]) -> bool:
    return bool(messages) and messages[-1].role in ("user", "tool")


class Renderer:
    """The chat template and tokenizer of one base.

    Args:
        folder: a Hugging Face model folder with a tokenizer and a chat template.

    Raises:
        BaseError: the folder has no chat template.
    """

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        own = self.tokenizer.chat_template
        if not own:
            raise BaseError(f"the base in {str(folder)!r} has no chat template; choose an instruct model")
        self.template: str = own
        if not self._tools_come_back():
            self.template = self._with_tools(own)
            self.tokenizer.chat_template = self.template
        self.end: int = self._end_of_turn()

    def _tools_come_back(self) -> bool:
        """Whether the template writes tools and calls, and the calls can be read out of what it writes."""
        call = ToolCall(id="call_0", name="look_up", arguments={"id": "W-17", "n": 2})
        asked = (Message(role="user", content="?"),)
        tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
        try:
            prompt = self.prompt_text(asked, [tool])
            whole = self.text((*asked, Message(role="assistant", tool_calls=(call,))), [tool])
        except TrainingError:
            return False
        _, calls, _ = parse_response(whole[len(prompt) :])
        return "look_up" in prompt and [(found.name, found.arguments) for found in calls] == [
            (call.name, call.arguments)
        ]

    def _with_tools(self, own: str) -> str:
        """The base's template with tool blocks added."""
        if "<|im_start|>" not in own or _knows_tools(own):
            return self._with_tools_around(own)
        probe = str(self.tokenizer.apply_chat_template([{"role": "user", "content": "?"}], tokenize=False))
        opening, _, _ = probe.partition("<|im_start|>user\n")
        default = opening.removeprefix("<|im_start|>system\n").removesuffix("<|im_end|>\n")
        template = resources.files("locum.training").joinpath("templates/chatml_tools.jinja").read_text("utf-8")
        # As a Jinja string literal: quotes and backslashes escaped, line breaks kept as escapes.
        literal = json.dumps(default, ensure_ascii=False)[1:-1].replace("'", "\\'").replace('\\"', '"')
        return template.rstrip("\n").replace("@@DEFAULT_SYSTEM@@", literal)

    def _with_tools_around(self, own: str) -> str:
        """The base's own template behind one that turns tools, calls and results into plain messages for it.

        Where the template takes no system text, that stands before the first question, as Gemma's makers advise.
        """
        question, mark = Message(role="user", content="?"), "Be brief."
        takes_system = mark in self._try((Message(role="system", content=mark), question))
        alternates = not self._try((question, question))
        template = resources.files("locum.training").joinpath("templates/tools_around.jinja").read_text("utf-8")
        for flag, value in (("@@SYSTEM@@", takes_system), ("@@ALTERNATE@@", alternates)):
            template = template.replace(flag, str(value).lower())
        return template.rstrip("\n") + "\n" + own

    def _try(self, messages: Sequence[Message]) -> str:
        """The text of a conversation, or nothing where the template refuses it."""
        try:
            return self.prompt_text(messages)
        except TrainingError:
            return ""

    def _end_of_turn(self) -> int:
        """The token that ends the agent's turn: the first token the template writes after an answer."""
        answer = (Message(role="user", content="?"), Message(role="assistant", content="."))
        prompt, whole = self.prompt_text(answer[:1]), self.text(answer)
        if not whole.startswith(prompt):
            raise BaseError(
                "the base's chat template renders the prompt differently once it is answered; "
                "choose a base whose template only appends"
            )
        _, _, tail = whole[len(prompt) :].partition(".")
        ends: list[int] = self.tokenizer(tail, add_special_tokens=False)["input_ids"]
        special = {index for index, token in self.tokenizer.added_tokens_decoder.items() if token.special}
        if not ends or ends[0] not in special:
            raise BaseError(f"the base's chat template ends an answer with {tail!r}, which is no special token")
        return ends[0]

    def prompt_text(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()) -> str:
        """The text that the model answers: all messages, `with_questions`, and the opening of the agent's turn."""
        return self._render(messages, tools, opening=True)

    def text(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()) -> str:
        """The text of a conversation, `with_questions`, without an opening for a further turn."""
        return self._render(messages, tools, opening=False)

    def _render(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]], opening: bool) -> str:
        import jinja2

        wire = [message_to_wire(message) for message in with_questions(messages, answering=opening)]
        try:
            rendered = self.tokenizer.apply_chat_template(
                wire, tools=list(tools) or None, tokenize=False, add_generation_prompt=opening
            )
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            roles = ", ".join(message.role for message in messages) or "of nothing"
            raise TrainingError(
                f"the base's chat template cannot render a row with the roles {roles} ({error})"
            ) from None
        return str(rendered)

    def tokens(self, text: str) -> list[int]:
        """Token ids of rendered text; special tokens written out in it count as such, none are added."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _require_readable(self, row: Row, written: str) -> None:
        """A call that cannot be read back out of what the template writes could be learned, but never be judged."""
        expected = [(call.name, call.arguments) for call in row.response.tool_calls]
        if expected and [(call.name, call.arguments) for call in parse_response(written)[1]] != expected:
            raise TrainingError(
                f"row {row.id[:12]}: the base's chat template writes tool calls in a way that Locum cannot read back; "
                "choose a base with Hermes-style tool calls, or one without tools in its template"
            )

    def encode(self, row: Row) -> Encoded:
        """Tokens of a row and where its response begins.

        Prompt and response are tokenized apart, since the engine too sees the prompt alone before it answers. The
        response ends with the token that ends the agent's turn, which the model must learn to write.

        Raises:
            TrainingError: the template writes the response differently from how it opens it, or writes nothing.
        """
        prompt = self.prompt_text(row.prompt, row.tools)
        whole = self.text(row.messages, row.tools)
        if not whole.startswith(prompt):
            raise TrainingError(
                f"row {row.id[:12]}: the base's chat template renders the prompt differently once it is answered; "
                "choose a base whose template only appends"
            )
        response = self.tokens(whole[len(prompt) :])
        if self.end not in response:
            raise TrainingError(
                f"row {row.id[:12]}: the base's chat template does not end the response; choose another base"
            )
        last = len(response) - response[::-1].index(self.end)
        if last == 1:
            raise TrainingError(
                f"row {row.id[:12]}: the response is empty once rendered; nothing can be learned from it"
            )
        self._require_readable(row, whole[len(prompt) :])
        before = self.tokens(prompt)
        return Encoded(tokens=before + response[:last], response_start=len(before))


def _knows_tools(template: str) -> bool:
    return "tools" in template and "tool_calls" in template


def message_to_wire(message: Message) -> dict[str, Any]:
    """A message in the shape that chat templates and OpenAI's API take; tool arguments stay an object."""
    wire: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        wire["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    if message.tool_name is not None:
        wire["name"] = message.tool_name
    return wire


CALL_OPENING, _CLOSE = "<tool_call>", "</tool_call>"
_JSON = json.JSONDecoder()


def parse_response(text: str) -> tuple[str, tuple[ToolCall, ...], int]:
    """Split generated text into what was said and which tools were called (Hermes style, `<tool_call>{json}`).

    Returns:
        The text outside of calls, the calls in order, and how many calls could not be parsed (those stay in the text).
    """
    said: list[str] = []
    calls: list[ToolCall] = []
    broken = 0
    rest = text
    while (start := rest.find(CALL_OPENING)) >= 0:
        body = start + len(CALL_OPENING)
        found = _parse_call(rest, body, f"call_{len(calls)}")
        if found is None:
            broken += 1
            said.append(rest[:body])
            rest = rest[body:]
        else:
            said.append(rest[:start])
            calls.append(found[0])
            rest = rest[found[1] :].lstrip().removeprefix(_CLOSE)
    said.append(rest)
    return "".join(said).strip(), tuple(calls), broken


def _parse_call(text: str, start: int, call_id: str) -> tuple[ToolCall, int] | None:
    """The call whose JSON begins at `start`, and where it ends: a string in it may well hold the closing tag."""
    while start < len(text) and text[start].isspace():
        start += 1
    try:
        _, end = _JSON.raw_decode(text, start)
        # Python reads more than JSON allows (NaN, half a character), which could not be written down again.
        call = msgspec.json.decode(text[start:end])
    except (ValueError, RecursionError):
        return None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        return None
    arguments = call.get("arguments", {})
    return (ToolCall(id=call_id, name=call["name"], arguments=arguments), end) if isinstance(arguments, dict) else None
