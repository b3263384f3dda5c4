"""What holds where the command line says nothing else."""

from __future__ import annotations

RETRIES = 30
"""Tries in a row that bring nothing. With the pauses in between, they take half an hour."""

JOBS = 4
"""So many files of a folder are sent at the same time."""
