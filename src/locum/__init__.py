"""Locum distils an AI agent's own sessions into a small local model and finds out what it may be trusted with.

The rooms of the package stand in the order in which data flows: `sessions`, `dataset`, `training`, `export`,
`runtime`, `evaluation`, `trust`, `report`, `cli`. No room imports from a later one (tests/test_rooms.py).
"""

__version__ = "0.1.0"
