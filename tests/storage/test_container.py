from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoeish.chk.buffers import Buffer
from tahoeish.storage.container import Header, read_header, write_all
from tahoeish.storage.errors import BadShareFile


@contextmanager
def opened(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> Iterator[int]:
    fd = os.open(path, flags, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def header_of(path: Path, content: bytes) -> Header:
    path.write_bytes(content)
    with opened(path) as fd:
        return read_header(fd, path)


@pytest.mark.parametrize("version", [b"\0\0\0\1", b"\0\0\0\2"])
def test_share_lies_between_header_and_leases(tmp_path: Path, version: bytes) -> None:
    content = version + b"\0\0\0\5" + b"\0\0\0\2" + b"share" + bytes(2 * 72)

    header = header_of(tmp_path / "0", content)

    assert (header.data_length, header.lease_count, header.leases_offset) == (5, 2, 17)


def test_written_length_is_not_believed_in_general(tmp_path: Path) -> None:
    content = b"\0\0\0\1" + b"\0\0\0\0" + b"\0\0\0\1" + bytes(1000) + bytes(72)

    assert header_of(tmp_path / "0", content).data_length == 1000


@pytest.mark.parametrize("torn", [1, 40, 72])
def test_lease_that_was_not_counted_before_a_crash_is_no_part_of_the_share(tmp_path: Path, torn: int) -> None:
    content = b"\0\0\0\2" + b"\0\0\0\5" + b"\0\0\0\1" + b"share" + bytes(72) + bytes(torn)

    header = header_of(tmp_path / "0", content)

    assert (header.data_length, header.leases_offset) == (5, 17)


def test_share_of_four_gigabytes_has_a_saturated_length(tmp_path: Path) -> None:
    path = tmp_path / "0"
    header = Header(version=2, data_length=2**32 + 7, lease_count=1)
    path.write_bytes(header.pack())
    os.truncate(path, header.file_size)

    assert header.pack() == b"\0\0\0\2" + b"\xff\xff\xff\xff" + b"\0\0\0\1"
    with opened(path) as fd:
        assert read_header(fd, path) == header


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "0 bytes are too few for a share container"),
        (b"\0\0\0\2" + bytes(4), "8 bytes are too few"),
        (b"\0\0\0\3" + bytes(100), "container version 3 is unknown"),
        (b"\0\0\0\2" + bytes(4) + b"\0\0\0\2" + bytes(143), "2 leases don't fit into 155 bytes"),
        (bytes.fromhex("5461686f65206d757461626c6520636f6e7461696e65722076320ac355219925"), "mutable file"),
    ],
)
def test_what_is_no_container_is_refused_with_its_path(tmp_path: Path, content: bytes, complaint: str) -> None:
    with pytest.raises(BadShareFile, match=complaint) as caught:
        header_of(tmp_path / "0", content)
    assert str(tmp_path / "0") in str(caught.value)


@given(pieces=st.lists(st.binary(max_size=20)), offset=st.integers(0, 50), most=st.integers(1, 30))
def test_everything_is_written_however_little_the_kernel_takes_at_a_time(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], offset: int, most: int
) -> None:
    path = tmp_path_factory.mktemp("written") / "file"
    pwritev = os.pwritev

    def take_little(fd: int, buffers: list[memoryview], offset: int) -> int:
        return pwritev(fd, [b"".join(buffers)[:most]], offset)

    with pytest.MonkeyPatch.context() as patch, opened(path) as fd:
        patch.setattr(os, "pwritev", take_little)
        count = write_all(fd, offset, pieces)

    expected = b"".join(pieces)
    assert count == len(expected)
    assert path.read_bytes() == (bytes(offset) + expected if expected else b"")


def test_more_buffers_than_one_call_takes_are_written_in_several(tmp_path: Path) -> None:
    most = os.sysconf("SC_IOV_MAX")
    numbers = [b"%5d" % number for number in range(2 * most + 1)]
    buffers: list[Buffer] = [memoryview(bytearray(number)) for number in numbers]

    with opened(tmp_path / "file") as fd:
        write_all(fd, 0, buffers)

    assert (tmp_path / "file").read_bytes() == b"".join(numbers)


def test_write_that_hits_a_limit_in_its_middle_fails(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with opened(tmp_path / "file") as fd:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            with pytest.raises(OSError, match="File too large"):
                write_all(fd, 0, [bytes(600), bytes(600)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "file").stat().st_size == 1000
