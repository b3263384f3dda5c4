"""
The real Tahoe-LAFS beside ours: what one of them stores, the other reads, checks and repairs.

`installation` gets it, `tahoe` runs it: a grid of stock nodes on loopback, and the stock command line. `samples` are
the files. All of these tests share one grid per session, hence the one xdist group.
"""

import pytest

INTEROP = [pytest.mark.interop, pytest.mark.xdist_group("interop")]
"""What every module here sets its `pytestmark` to."""
