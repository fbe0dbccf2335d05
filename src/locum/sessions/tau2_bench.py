"""tau2-bench's results: a JSON object with a policy, tasks and simulations, each a list of messages and a reward.

Format: https://github.com/sierra-research/tau2-bench, `Results`. The human is simulated, and may have tools of
their own: those calls and results are not the agent's. Records are counted instead of lines: one is a message of
a simulation, and a simulation that cannot be read counts as one.

Assumed, because no file at hand holds it: `environment_info.tool_defs` is a list or a mapping of signatures
{"name", "doc", "params"} (as the source code has it) or of OpenAI's schemas.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from locum.sessions.chat_messages import Conversation, tool_schemas
from locum.sessions.json_records import member
from locum.sessions.jsonl import BOM, BadRecord, decode, utc
from locum.sessions.ledger import Ledger
from locum.sessions.providers import provider_of
from locum.sessions.reader import FileReading
from locum.types import Message, Session

_HEAD = re.compile(rb'\s*\{\s*"')
_SIMULATED = re.compile(rb'"user_info"\s*:|"simulations"\s*:\s*\[')
_ELSEWHERE = re.compile(rb'"environment_info"\s*:|"reward_info"\s*:|"agent_info"\s*:')
_SIGN_OFFS = ("###STOP###", "###TRANSFER###", "###OUT-OF-SCOPE###")
"""What the simulated human writes when there is nothing more to say."""
_CUSTOMER = re.compile(r"\b[a-z]+_[a-z]+_[0-9]{4}\b")
"""A customer's id; those of cards have more digits."""
_PERSONA = re.compile(r"\[PERSONA:[^\]]*\]$")
_WRAPPINGS = ({"message"}, {"response"})
_DECODER = msgspec.json.Decoder(dict[str, Any])
_ANY = msgspec.json.Decoder()


class Tau2Bench:
    """Reader of tau2-bench result files."""

    name = "tau2_bench"

    def detects(self, head: bytes, path: Path) -> bool:
        """An object that says who was simulated, and in which environment."""
        return all(pattern.search(head) for pattern in (_SIMULATED, _ELSEWHERE)) and _HEAD.match(head) is not None

    def read(self, path: Path) -> FileReading:
        """One session a simulation; of a file that is cut, the simulations before the cut."""
        ledger = Ledger(path)
        results, broken = _results(path.read_bytes().removeprefix(BOM))
        run = _Run(results, path)
        sessions = []
        record = 0
        for simulation in _list(results.get("simulations")):
            messages = simulation.get("messages") if isinstance(simulation, dict) else None
            if not isinstance(messages, list) or not messages:
                record += 1
                ledger.bad(record, "a simulation without messages")
                continue
            session = run.session(simulation, ledger, record)
            record += len(messages)
            if session is not None:
                sessions.append(session)
        if broken is not None:
            ledger.bad(record + 1, broken)
        return FileReading(str(path), self.name, tuple(sessions), ledger.lines())


class _Run:
    """What all simulations of a file share."""

    def __init__(self, results: dict[str, Any], path: Path) -> None:
        self._path = path
        info = _dict(results.get("info"))
        environment = _dict(info.get("environment_info"))
        self._domain = _label(environment.get("domain_name"))
        self._policy = environment.get("policy")
        self._tools = _tools(environment.get("tool_defs"))
        simulations = [simulation for simulation in _list(results.get("simulations")) if isinstance(simulation, dict)]
        self._customers = _customers(_list(results.get("tasks")), simulations)
        model = _dict(info.get("agent_info")).get("llm")
        # ToolOrchestra answers in wrapped texts, and its files name another model than the one that answered.
        wrapped = any(_unwrapped(text) != text for text in _agent_texts(simulations))
        self._model = model if isinstance(model, str) and model and not wrapped else None

    def session(self, simulation: dict[str, Any], ledger: Ledger, before: int) -> Session | None:
        """The session of one simulation, its messages taken down from record `before` + 1 on."""
        conversation = Conversation()
        policy = simulation.get("policy") or self._policy
        if isinstance(policy, str) and policy:
            conversation.add({"role": "system", "content": policy})
        used: list[int] = []
        model = self._model
        broken = False
        for number, raw in enumerate(simulation["messages"], before + 1):
            if broken:
                # What follows a message that is missing would answer to something that is not in its prompt.
                ledger.noise(number, "after a bad message")
                continue
            try:
                noise = _add(raw, conversation)
            except BadRecord as reason:
                ledger.bad(number, str(reason))
                broken = True
                continue
            if noise is not None:
                ledger.noise(number, noise)
                continue
            used.append(number)
            conversation.amend(**_greeting(conversation.messages))
            said_by = _dict(raw.get("raw_data")).get("model") if raw.get("role") == "assistant" else None
            model = said_by if isinstance(said_by, str) and said_by else model
        messages = tuple(conversation.messages)
        if not any(message.origin == "agent" for message in messages):
            for number in used:
                ledger.noise(number, "unanswered")
            return None
        ledger.used(*used)
        task = _label(simulation.get("task_id"))
        return Session(
            id=f"{self._path.stem}:{task}:{_label(simulation.get('trial'))}",
            lineage=self._lineage(simulation, task),
            format=Tau2Bench.name,
            source=str(self._path),
            messages=messages,
            tools=self._tools,
            started=_started(messages, simulation),
            provider=provider_of(model),
            model=model,
            reward=_reward(_dict(simulation.get("reward_info")).get("reward")),
        )

    def _lineage(self, simulation: dict[str, Any], task: str) -> str:
        customer = _customer(simulation) or self._customers.get(task)
        if customer is not None:
            # tau-bench has the same customers with the same orders, and most of the same tasks.
            return f"tau_bench:{customer}"
        # One task with several personas is one task.
        return f"{Tau2Bench.name}:{self._domain} task {_PERSONA.sub('', task)}"


def _add(raw: Any, conversation: Conversation) -> str | None:
    """Add a message; returns the kind of noise where it is none of the agent's conversation.

    Raises:
        BadRecord: it is no message.
    """
    if not isinstance(raw, dict):
        raise BadRecord("a message without a known role")
    match raw.get("role"):
        case "tool":
            if raw.get("requestor") == "user":
                return "the user's own tool"
            call, content = raw.get("id"), raw.get("content")
            if raw.get("error") is True or (isinstance(content, str) and content.startswith("Error")):
                conversation.signal(call, "tool_error")
            conversation.add({"role": "tool", "tool_call_id": call, "content": content})
        case "user":
            content = _without_sign_off(raw.get("content"))
            if not content:
                return "the user's own tool" if raw.get("tool_calls") else "stop"
            conversation.add({"role": "user", "content": content})
        case _:
            calls = raw.get("tool_calls") or []
            if not isinstance(calls, list):
                raise BadRecord("tool_calls is not a list")
            conversation.add({**raw, "content": _unwrapped(raw.get("content")), "tool_calls": [*map(_call, calls)]})
    conversation.amend(time=utc(raw.get("timestamp")))
    return None


def _call(raw: Any) -> Any:
    """A call in the shape of OpenAI's, whose name and arguments stand here beside the id."""
    if not isinstance(raw, dict):
        return raw
    return {"id": raw.get("id"), "function": {"name": raw.get("name"), "arguments": raw.get("arguments")}}


def _greeting(messages: list[Message]) -> dict[str, Any]:
    """What to change in the message added last: the greeting that begins every simulation is not the agent's."""
    greets = messages[-1].role == "assistant" and not messages[-1].tool_calls
    return {"origin": "harness"} if greets and all(message.role == "system" for message in messages[:-1]) else {}


def _without_sign_off(content: Any) -> Any:
    if not isinstance(content, str):
        return content
    for mark in _SIGN_OFFS:
        content = content.replace(mark, "")
    return content.strip()


def _unwrapped(content: Any) -> Any:
    """The text that ToolOrchestra wraps as JSON; an object that holds more than a text is the text itself."""
    if not isinstance(content, str) or content.lstrip()[:1] not in ("{", '"'):
        return content
    try:
        value = decode(_ANY, content.encode())
    except BadRecord:
        return content
    if isinstance(value, dict) and set(value) in _WRAPPINGS:
        (value,) = value.values()
    return value if isinstance(value, str) else content


def _agent_texts(simulations: Iterable[dict[str, Any]]) -> Iterator[str]:
    for simulation in simulations:
        for message in _list(simulation.get("messages")):
            if isinstance(message, dict) and message.get("role") == "assistant":
                content = message.get("content")
                if isinstance(content, str):
                    yield content


def _customers(tasks: Iterable[Any], simulations: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Task -> customer, for simulations that never found out: as others of the task did, or as the task says.

    Tasks come second, since some files number their simulations otherwise than their tasks.
    """
    customers: dict[str, str] = {}
    for simulation in simulations:
        _put(customers, simulation.get("task_id"), _customer(simulation))
    for task in tasks:
        if isinstance(task, dict):
            criteria = _dict(task.get("evaluation_criteria"))
            _put(customers, task.get("id"), _first_customer([task.get("user_scenario"), criteria.get("actions")]))
    return customers


def _put(customers: dict[str, str], task: Any, customer: str | None) -> None:
    if customer is not None:
        customers.setdefault(_label(task), customer)


def _customer(simulation: dict[str, Any]) -> str | None:
    """The customer whom a simulation is about, for the domains that have such: tasks of one customer share
    orders, addresses and payment methods, and so belong together.
    """
    messages = [message for message in _list(simulation.get("messages")) if isinstance(message, dict)]
    said = [[message.get("content"), message.get("tool_calls")] for message in messages]
    return _first_customer(said) or _first_customer(_dict(simulation.get("reward_info")).get("action_checks"))


def _first_customer(value: Any) -> str | None:
    try:
        text = msgspec.json.encode(value).decode()
    except RecursionError:
        return None
    found = _CUSTOMER.search(text)
    return found[0] if found else None


def _tools(raw: Any) -> tuple[dict[str, Any], ...]:
    """Tool schemas, or none where they are of no known shape: the messages can be read without."""
    tools = list(raw.values()) if isinstance(raw, dict) else raw
    if isinstance(tools, list):
        tools = [_schema(tool) if isinstance(tool, dict) else tool for tool in tools]
    try:
        return tool_schemas(tools)
    except BadRecord:
        return ()


def _schema(tool: dict[str, Any]) -> dict[str, Any]:
    if "function" in tool or "doc" not in tool:
        return tool
    return {"name": tool.get("name"), "description": tool["doc"], "parameters": _dict(tool.get("params"))}


def _results(raw: bytes) -> tuple[dict[str, Any], str | None]:
    """The file's object, and what is wrong with it where it is cut or broken: then what stands before that."""
    try:
        return decode(_DECODER, raw), None
    except BadRecord as error:
        return {key: member(raw, key) for key in ("info", "tasks", "simulations")}, str(error)


def _started(messages: Iterable[Message], simulation: dict[str, Any]) -> str | None:
    first = next((message.time for message in messages if message.time is not None), None)
    return first or utc(simulation.get("start_time"))


def _reward(value: Any) -> float | None:
    """The task's reward. The checks beside it are no substitute: it is the product of only some of them."""
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None


def _label(value: Any) -> str:
    return str(value) if isinstance(value, int | str) else "?"


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
