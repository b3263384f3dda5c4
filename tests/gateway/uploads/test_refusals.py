"""Why an upload is refused, as each of the two protocols says it."""

from __future__ import annotations

import pytest

from tahoeish.gateway.uploads.asked import Limits
from tahoeish.gateway.uploads.decisions import Reason, Refuse
from tahoeish.gateway.uploads.dialects import ietf, tus
from tahoeish.gateway.uploads.dialects.ietf import Dialect

LIMITS = Limits(max_size=1000, min_append_size=5, max_age=60)


@pytest.mark.parametrize(
    ("reason", "in_ietf", "in_tus"),
    [
        (Reason.MISMATCH, 409, 409),
        (Reason.COMPLETE, 409, 409),
        (Reason.PREEMPTED, 409, 409),
        (Reason.GONE, 410, 410),
        (Reason.INCONSISTENT_LENGTH, 400, 400),
        (Reason.TOO_SMALL, 400, 400),
        (Reason.TOO_LARGE, 413, 413),
        (Reason.TOO_LONG, 400, 413),
    ],
)
def test_each_reason_has_its_status(reason: Reason, in_ietf: int, in_tus: int) -> None:
    refuse = Refuse(1, reason, 5, 7)
    by_ietf, by_tus = ietf.refusal(Dialect(8), refuse, LIMITS), tus.refusal(refuse)
    assert (by_ietf.status, by_tus.status) == (in_ietf, in_tus)
    assert by_tus.headers["Tus-Resumable"] == tus.VERSION
    told = {Reason.PREEMPTED: "preempted", Reason.GONE: "gone"}.get(reason)
    assert by_tus.members == ({"reason": told} if told else {})
    assert by_ietf.status != 413 or "Upload-Limit" in by_ietf.headers
