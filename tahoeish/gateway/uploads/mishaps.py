"""What ends an upload for good, and what doesn't."""

from __future__ import annotations

from tahoeish.chk.errors import BadCheckpoint
from tahoeish.gateway.errors import problem_of
from tahoeish.grid.errors import SharesForgotten

LASTING = (SharesForgotten, BadCheckpoint)
"""What makes going on impossible, however often it is tried."""

_OBSTACLES = (405, 409, 412, 423)
"""
What may be in a whole file's way to its name, and may be gone when the client tries again: a folder that is there or
isn't, another file, a lock.
"""


def is_lasting(error: Exception) -> bool:
    """Whether to complete the upload again would end no better."""
    status = problem_of(error).status
    return isinstance(error, LASTING) or (400 <= status < 500 and status not in _OBSTACLES)
