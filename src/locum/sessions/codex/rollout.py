"""From the lines of a Codex rollout to sessions.

Everything is written twice: the conversation is read from response items, and of the events only what they add:
what a human really typed, where the agent was stopped, how commands and patches ended, what was rolled back.
"""

from pathlib import Path
from typing import Any

import msgspec

from locum.sessions.chat_messages import tool_schemas
from locum.sessions.codex.items import call_of, hear, result_of, texts_of
from locum.sessions.codex.lines import CALLS, ELSEWHERE, EVENTS, ITEMS, OUTPUTS, TYPES
from locum.sessions.jsonl import BadRecord, decode, decode_line, kind_of, utc
from locum.sessions.ledger import Ledger
from locum.sessions.providers import provider_of
from locum.sessions.transcript import Transcript, Turn, Window
from locum.sessions.usage import together, usage_of
from locum.sessions.zstd import lines_of
from locum.types import Message, Session

_DECODER = msgspec.json.Decoder(dict[str, Any])
_LONG = 16
"""Ids shorter than this are counters, the same in many sessions."""


def read_rollout(path: Path, ledger: Ledger) -> tuple[Session, ...]:
    """Read a rollout: one session for each context window in which the agent says something.

    Raises:
        OSError: the file cannot be read.
    """
    rollout = _Rollout(path, ledger, _typed(path))
    for number, raw in lines_of(path, ledger):
        if not raw:
            ledger.noise(number, "blank")
            continue
        try:
            for record in decode_line(_DECODER, raw):
                rollout.add(number, record)
        except BadRecord as reason:
            ledger.bad(number, str(reason))
    return rollout.sessions()


def _typed(path: Path) -> frozenset[str]:
    """What humans typed, as the events tell it; empty where the log holds no such events."""
    typed: set[str] = set()
    for _, raw in lines_of(path, Ledger(path)):  # what is wrong with them is taken down when they are read
        if b"user_message" not in raw and b"UserMessage" not in raw:
            continue
        try:
            record = decode(_DECODER, raw)
        except BadRecord:
            continue  # it is reported when it is read
        payload = record.get("payload")
        if not isinstance(payload, dict) or record.get("type") != "event_msg":
            continue
        item = payload.get("item")
        if payload.get("type") == "user_message":
            typed.update(_words(payload.get("message")))
        elif isinstance(item, dict) and item.get("type") in ("UserMessage", "user_message"):
            typed.update(_words(item.get("content")))
    return frozenset(typed)


def _words(content: Any) -> list[str]:
    try:
        heard = hear(content)
    except BadRecord:
        return []
    return [text for text in (heard.human, heard.harness) if text]


class _Rollout:
    """One file as it is read."""

    def __init__(self, path: Path, ledger: Ledger, typed: frozenset[str]) -> None:
        self._path = path
        self._ledger = ledger
        self._typed = typed
        self._windows = [Transcript(ledger)]
        self._meta: dict[str, Any] = {}
        self._parent: str | None = None
        self._meta_line: int | None = None
        self._model: str | None = None
        self._turn: Turn | None = None  # the agent's message that is still open: no result has come yet
        self._counted: Turn | None = None  # the agent's last message, which the next count of tokens is of
        self._total: Any = None  # tokens of the session so far; a count that leaves it as it was is a repetition
        self._aborted: int | None = None  # the line of an abort whose message has not come yet
        self._humans: list[int] = []  # positions of what humans said in the open window
        self._heard: list[str] = []

    def add(self, number: int, record: dict[str, Any]) -> None:
        """Take a line, or one of several that share it.

        Raises:
            BadRecord: it is no valid line of a rollout.
        """
        kind = record.get("type")
        payload = record.get("payload")
        time = utc(record.get("timestamp"))
        if isinstance(payload, dict):
            if kind == "response_item":
                self._item(number, payload, time)
            elif kind == "event_msg":
                self._event(number, payload)
            elif kind == "compacted":
                self._compact(number, payload, time)
            elif kind == "inter_agent_communication":
                self._message(number, {**payload, "role": "agent"}, time)
            else:
                if kind == "session_meta":
                    self._about(number, payload)
                elif kind == "turn_context" and isinstance(payload.get("model"), str):
                    self._model = payload["model"]
                (self._ledger.noise if kind_of(record) in TYPES else self._ledger.unknown)(number, kind_of(record))
        elif kind is None and "record_type" in record:
            self._ledger.noise(number, "state")
        elif kind is None and isinstance(record.get("id"), str) and "timestamp" in record:
            self._about(number, record)
            self._ledger.noise(number, "session_meta")
        elif isinstance(kind, str) and "payload" not in record:
            self._item(number, record, time)
        else:
            raise BadRecord("a line without a payload" if "payload" in record else "a line without a type")

    def _about(self, number: int, meta: dict[str, Any]) -> None:
        """The file's own header is the first one; a fork repeats its parent's."""
        id_ = meta.get("id")
        if not self._meta:
            self._meta = meta
            self._meta_line = number
        elif self._parent is None and isinstance(id_, str) and id_ and id_ != self._meta.get("id"):
            self._parent = id_

    def _item(self, number: int, item: dict[str, Any], time: str | None) -> None:
        kind = kind_of(item)
        if kind in OUTPUTS:
            self._turn = None
            self._windows[-1].hear(number, result_of(item), time)
        elif kind in CALLS:
            call, signals = call_of(item)
            turn = self._open(number, item, time)
            turn.calls.append(call)
            turn.signals += signals
        elif kind in ELSEWHERE:
            self._open(number, item, time).signals.append("unreadable")
        elif kind == "message" and item.get("role") == "assistant":
            texts, unreadable = texts_of(item.get("content"))
            texts = [text for text in texts if text.strip()]
            if not texts:
                self._ledger.noise(number, "empty")
                return
            turn = self._open(number, item, time)
            turn.texts += texts
            turn.signals += ["unreadable"] if unreadable else []
        elif kind == "message":
            self._message(number, item, time)
        elif kind == "agent_message":  # one agent's words to another
            self._message(number, {**item, "role": "agent"}, time)
        else:
            (self._ledger.noise if kind in ITEMS else self._ledger.unknown)(number, f"item: {kind}")

    def _open(self, number: int, item: dict[str, Any], time: str | None) -> Turn:
        """The agent's message that an item belongs to: all items up to the first result are one."""
        turn = self._turn
        if turn is None:
            turn = self._turn = self._counted = Turn(time=time, model=self._model)
            self._windows[-1].say(turn)
        if turn.id is None:
            turn.id = self._id(item)
        turn.lines.append(number)
        if self._aborted is not None:
            # What the agent was saying when it was stopped is written after the event.
            self._windows[-1].stop(self._aborted)
            self._aborted = None
        return turn

    def _id(self, item: dict[str, Any]) -> str | None:
        given, call = item.get("id"), item.get("call_id")
        if isinstance(given, str) and given:
            return given if len(given) >= _LONG else f"{self._name()}:{given}"
        return call if isinstance(call, str) and len(call) >= _LONG else None

    def _message(self, number: int, item: dict[str, Any], time: str | None) -> None:
        window = self._windows[-1]
        role = item.get("role")
        if role in ("system", "developer"):
            texts, _ = texts_of(item.get("content"))
            text = "\n\n".join(texts).strip()
            if not text:
                self._ledger.noise(number, "empty")
                return
            window.note(number, text, "system", role="system", time=time)
            self._turn = None
            return
        if role not in ("user", "agent"):
            raise BadRecord("a message without a known role")
        heard = hear(item.get("content"))
        unreadable = heard.unreadable or (role == "agent" and not heard.human and not heard.harness)
        if not (heard.harness or heard.human or unreadable):
            self._ledger.noise(number, "empty")
            return
        self._turn = None
        if heard.aborted and self._aborted is None:
            self._aborted = number
        if heard.harness:
            window.note(number, heard.harness, "harness", time=time)
            self._heard.append(heard.harness)
        if heard.human:
            human = role == "user" and not self._spawned() and self._is_typed(heard.human)
            if human:
                self._settle()
            at = window.note(number, heard.human, "human" if human else "harness", time=time)
            if human:
                self._humans.append(at)
        if unreadable:
            window.gap()
            self._ledger.noise(number, "encrypted")

    def _is_typed(self, text: str) -> bool:
        """Whether a human typed it: the events say so; where there are none, whoever reads like one did."""
        if not self._typed or text in self._typed:
            return True
        # The event may hold the text without what stood around it, but a short one is found in anything.
        return any(len(typed) >= _LONG and (typed in text or text in typed) for typed in self._typed)

    def _settle(self) -> None:
        """An abort after which nothing more was written: it stopped what stands before it."""
        if self._aborted is not None:
            self._windows[-1].stop(self._aborted)
            self._aborted = None

    def _event(self, number: int, event: dict[str, Any]) -> None:
        kind = kind_of(event)
        call = event.get("call_id")
        if kind == "turn_aborted":
            self._settle()
            self._turn = None
            self._aborted = number
            self._ledger.noise(number, "event: turn_aborted")
            return
        if kind == "thread_rolled_back":
            self._roll_back(event.get("num_turns"))
            self._ledger.noise(number, "rollback")
            return
        if kind == "token_count":
            self._count(event.get("info"))
        elif kind in ("task_started", "turn_started"):
            self._settle()
        elif isinstance(call, str):
            code = event.get("exit_code")
            if (kind == "exec_command_end" and isinstance(code, int) and code != 0) or (
                kind == "patch_apply_end" and event.get("success") is False
            ):
                self._windows[-1].flag(call, "tool_error")
        (self._ledger.noise if kind in EVENTS else self._ledger.unknown)(number, f"event: {kind}")

    def _count(self, info: Any) -> None:
        """What the call took that the agent's last message is the answer to."""
        if not isinstance(info, dict) or info.get("total_token_usage") == self._total:
            return
        self._total = info.get("total_token_usage")
        if self._counted is not None:
            self._counted.usage = together(self._counted.usage, usage_of(info.get("last_token_usage")))

    def _roll_back(self, turns: Any) -> None:
        """A human took back so many of their messages, with all that followed."""
        if not isinstance(turns, int) or turns < 1 or not self._humans:
            return
        self._settle()
        self._turn = None
        kept = max(0, len(self._humans) - turns)
        self._windows[-1].rewind(self._humans[kept])
        del self._humans[kept:]

    def _compact(self, number: int, payload: dict[str, Any], time: str | None) -> None:
        """From here on the agent saw only what replaces the history."""
        self._settle()
        self._turn = None
        self._windows.append(window := Transcript(self._ledger))
        self._humans = []
        history = payload.get("replacement_history")
        for item in history if isinstance(history, list) else []:
            if isinstance(item, dict) and item.get("type") == "message":
                self._repeat(number, window, item, time)
            else:
                window.gap()  # encrypted
        summary = payload.get("message")
        if not isinstance(history, list) and isinstance(summary, str) and summary.strip():
            window.note(number, summary.strip(), "harness", time=time)
        self._ledger.noise(number, "compacted")

    def _repeat(self, number: int, window: Transcript, item: dict[str, Any], time: str | None) -> None:
        """Write what the new window repeats of the old one: context, nobody's turn."""
        texts, _ = texts_of(item.get("content"))
        text = "\n\n".join(texts).strip()
        if not text:
            return
        if item.get("role") == "assistant":
            window.say(Turn(texts=[text], origin="harness", time=time, lines=[number]))
        elif item.get("role") == "user":
            heard = hear(item.get("content"))
            human = bool(heard.human) and not heard.harness and not self._spawned() and self._is_typed(heard.human)
            window.note(number, text, "human" if human else "harness", time=time)
        else:
            window.note(number, text, "system", role="system", time=time)

    def _name(self) -> str:
        id_ = self._meta.get("id")
        return id_ if isinstance(id_, str) and id_ else self._path.stem

    def _spawned(self) -> bool:
        """Whether an agent, not a human, wrote the prompts: the thread of a sub-agent."""
        source = self._meta.get("source")
        return self._meta.get("thread_source") == "subagent" or (
            isinstance(source, dict) and ("subagent" in source or "sub_agent" in source)
        )

    def _lineage(self) -> str:
        """The thread that this one was forked from or spawned by, else itself."""
        source = self._meta.get("source")
        agent = source.get("subagent", source.get("sub_agent")) if isinstance(source, dict) else None
        spawn = agent.get("thread_spawn") if isinstance(agent, dict) else None
        named = (
            self._meta.get("forked_from_id"),
            self._meta.get("parent_thread_id"),
            spawn.get("parent_thread_id") if isinstance(spawn, dict) else None,
            self._parent,
        )
        return next((name for name in named if isinstance(name, str) and name), self._name())

    def _system(self) -> str:
        """The system text in the header: the base instructions, or in old files the user's own, unless the
        conversation holds them."""
        base, own = self._meta.get("base_instructions"), self._meta.get("instructions")
        text = base.get("text") if isinstance(base, dict) else base
        if isinstance(text, str) and text.strip():
            return text.strip()
        if isinstance(own, str) and own.strip() and not any(own.strip() in heard for heard in self._heard):
            return own.strip()
        return ""

    def _tools(self) -> tuple[dict[str, Any], ...]:
        """Schemas of the tools that whoever started the session brought along; the client's own are not logged."""
        specs = self._meta.get("dynamic_tools")
        try:
            return tool_schemas(
                [
                    {key: spec.get(name) for key, name in (*_SCHEMA, ("parameters", "inputSchema")) if name in spec}
                    for spec in (specs if isinstance(specs, list) else [])
                    if isinstance(spec, dict) and isinstance(spec.get("name"), str)
                ]
            )
        except BadRecord:
            return ()

    def sessions(self) -> tuple[Session, ...]:
        """The sessions of the file, once all of it is read."""
        self._settle()
        system, tools = self._system(), self._tools()
        sessions = []
        for number, transcript in enumerate(self._windows, 1):
            window = transcript.write()
            if window.turns:
                sessions.append(self._session(number, window, system, tools))
        if sessions and self._meta_line is not None and (system or tools):
            self._ledger.used(self._meta_line)
        return tuple(sessions)

    def _session(self, number: int, window: Window, system: str, tools: tuple[dict[str, Any], ...]) -> Session:
        name = self._name()
        provider = self._meta.get("model_provider")
        opening = [Message("system", system, origin="system")] if system else []
        return Session(
            id=name if number == 1 else f"{name}#{number}",
            lineage=self._lineage(),
            format="codex",
            source=str(self._path),
            messages=(*opening, *window.messages),
            tools=tools,
            started=window.started or utc(self._meta.get("timestamp")),
            provider=provider_of(window.model) or (provider if isinstance(provider, str) and provider else None),
            model=window.model,
        )


_SCHEMA = (("name", "name"), ("description", "description"))
