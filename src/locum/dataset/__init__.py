"""The dataset room: sessions in, rows and drops out; the funnel between them is kept as part of the truth."""

from locum.dataset.build import Options
from locum.dataset.extract import extract
from locum.dataset.legibility import REASONS
from locum.dataset.stats import Stats, funnel
from locum.dataset.store import iterate_rows, read_contrasts, read_documents, read_drops, read_rows, read_stats

__all__ = [
    "REASONS",
    "Options",
    "Stats",
    "extract",
    "funnel",
    "iterate_rows",
    "read_contrasts",
    "read_documents",
    "read_drops",
    "read_rows",
    "read_stats",
]
