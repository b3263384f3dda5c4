"""
The real Tahoe-LAFS beside ours: what one of them stores, the other reads, checks and repairs.

`installation` gets it, `tahoe` runs it: its nodes and its command line. `ours` are our nodes, `grids` many of either
kind on loopback, and `samples` the files. A dozen processes run at a time, so all of these tests are one xdist group:
one worker has them to itself.
"""

import pytest

INTEROP = [pytest.mark.interop, pytest.mark.xdist_group("interop")]
"""What every module here sets its `pytestmark` to."""
