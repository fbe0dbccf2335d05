"""Reads any known agent's session logs: files, folders or `auto` -> sessions, and an account of every
line.
"""

from locum.sessions.discover import Skipped
from locum.sessions.read import SourceReading, read_sources

__all__ = ["Skipped", "SourceReading", "read_sources"]
