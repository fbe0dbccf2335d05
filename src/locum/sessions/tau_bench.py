"""tau-bench's results: a JSON list of simulations, each with a trajectory of chat messages and a ground-truth
reward.

Format: https://github.com/sierra-research/tau-bench, `EnvRunResult`. The human is simulated; the files hold
neither times, tool schemas nor the agent's model. Records are counted instead of lines: one is a message of a
trajectory, and a simulation that cannot be read counts as one.
"""

import re
from pathlib import Path
from typing import Any

from locum.sessions.chat_messages import Conversation
from locum.sessions.json_records import list_records
from locum.sessions.jsonl import BOM, BadRecord
from locum.sessions.ledger import Ledger
from locum.sessions.reader import FileReading
from locum.types import Session

_STOP = "###STOP###"
"""What the simulated human writes when it has what it wants."""
_BEGINNING = re.compile(rb"\s*\[\s*\{")
_TRAJECTORY = re.compile(rb'"traj"\s*:')


class TauBench:
    """Reader of tau-bench result files."""

    name = "tau_bench"

    def detects(self, head: bytes, path: Path) -> bool:
        """A list whose objects have a trajectory."""
        return _BEGINNING.match(head) is not None and _TRAJECTORY.search(head) is not None

    def read(self, path: Path) -> FileReading:
        """One session a simulation; of a file that is cut, the simulations before the cut."""
        ledger = Ledger(path)
        sessions = []
        record = 0
        simulations, broken = list_records(path.read_bytes().removeprefix(BOM))
        for simulation in simulations:
            if isinstance(simulation, BadRecord):
                record += 1
                ledger.bad(record, str(simulation))
                continue
            trajectory = simulation.get("traj") if isinstance(simulation, dict) else None
            if not isinstance(trajectory, list) or not trajectory:
                record += 1
                ledger.bad(record, "a simulation without a trajectory")
                continue
            session = self._session(simulation, path, ledger, record)
            record += len(trajectory)
            if session is not None:
                sessions.append(session)
        if broken is not None:
            ledger.bad(record + 1, broken)
        return FileReading(str(path), self.name, tuple(sessions), ledger.lines())

    def _session(self, simulation: dict[str, Any], path: Path, ledger: Ledger, before: int) -> Session | None:
        conversation = Conversation(failed=lambda result: result.startswith("Error"))
        used = []
        broken = False
        for number, raw in enumerate(simulation["traj"], before + 1):
            if broken:
                # What follows a message that is missing would answer to something that is not in its prompt.
                ledger.noise(number, "after a bad message")
                continue
            try:
                message = _without_stop(raw)
                if message is None:
                    ledger.noise(number, "stop")
                    continue
                conversation.add(message)
            except BadRecord as reason:
                ledger.bad(number, str(reason))
                broken = True
                continue
            used.append(number)
        if not any(message.origin == "agent" for message in conversation.messages):
            for number in used:
                ledger.noise(number, "unanswered")
            return None
        ledger.used(*used)
        task, trial = _label(simulation.get("task_id")), _label(simulation.get("trial"))
        return Session(
            id=f"{path.stem}:{task}:{trial}",
            lineage=f"{self.name}:{_customer(simulation) or f'task {task}'}",
            format=self.name,
            source=str(path),
            messages=tuple(conversation.messages),
            reward=_reward(simulation.get("reward")),
        )


def _without_stop(raw: Any) -> Any:
    """The message without the simulated human's sign-off, or None where nothing else was said."""
    content = raw.get("content") if isinstance(raw, dict) else None
    if not isinstance(content, str) or _STOP not in content or raw.get("role") != "user":
        return raw
    content = content.replace(_STOP, "").strip()
    return {**raw, "content": content} if content else None


def _customer(simulation: dict[str, Any]) -> str | None:
    """The customer: tasks of one customer share orders, addresses and payment methods, and so belong
    together.
    """
    info = simulation.get("info")
    task = info.get("task") if isinstance(info, dict) else None
    user = task.get("user_id") if isinstance(task, dict) else None
    return user if isinstance(user, str) and user else None


def _label(value: Any) -> str:
    return str(value) if isinstance(value, int | str) else "?"


def _reward(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None
