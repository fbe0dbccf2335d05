"""The dataset room: sessions in, rows and drops out; the funnel between them is kept as part of the truth."""

from locum.dataset.build import Dataset, Options, build_dataset
from locum.dataset.legibility import REASONS
from locum.dataset.stats import Stats, funnel
from locum.dataset.store import read_drops, read_rows, read_stats, write_dataset

__all__ = [
    "REASONS",
    "Dataset",
    "Options",
    "Stats",
    "build_dataset",
    "funnel",
    "read_drops",
    "read_rows",
    "read_stats",
    "write_dataset",
]
