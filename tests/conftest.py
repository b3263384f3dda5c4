"""What all tests share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from hypothesis import settings
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import provider

# How long an example takes says more about the machine's other work than about ours.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_collection_finish() -> None:
    """Each test ends with a collection, which needn't look at the modules and tests that are there for good."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_lost_failures() -> Iterator[None]:
    """Fails a test that left a Deferred's failure unhandled, or in which something logged one."""
    lost: list[LogEvent] = []

    @provider(ILogObserver)
    def watch(event: LogEvent) -> None:
        if "log_failure" in event:
            lost.append(event)

    globalLogPublisher.addObserver(watch)
    yield
    # A dropped Deferred reports its failure when it is collected.
    gc.collect()
    globalLogPublisher.removeObserver(watch)
    assert not lost, lost
