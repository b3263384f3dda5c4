"""
`python -m bench.profiling`: where the processors' time goes in a gateway and a storage node during a PUT over TLS.

perf tells what kind of work it is, in all threads and in the kernel; it needs root, or a kernel that lets everybody
look. With `--functions`, py-spy tells instead which Python functions the reactor is in, for it is the reactor that
everything else waits for; time in C counts for the function that called it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from signal import SIGINT
from time import sleep

from bench.body import Bodies
from bench.grid import running_grid
from bench.process import Process
from bench.setting import WARM_UP, scratch_directory
from bench.sizes import GIB, parse_size, shown
from bench.transfer import Transfer, costs, measured_get, measured_put

LEAD = 1.5
"""Seconds that they need until they look."""
MOST_LINES = 20

PERF = ("perf", "record", "-F", "499", "-g", "-p", "{pid}", "-o", "{output}")
PY_SPY = ("py-spy", "record", "-r", "250", "-t", "-f", "raw", "-p", "{pid}", "-o", "{output}")
WAITING = "doPoll"
"""Where a reactor is that has nothing to do."""

KINDS = {
    "erasure code (ISA-L)": ("libisal",),
    "SHA-256 (hashlib's OpenSSL)": ("libcrypto",),
    "AES-CTR and TLS (cryptography's OpenSSL)": ("_rust.abi3",),
    "copying and clearing memory": ("memmove", "memcpy", "memset"),
    "kernel: sockets, files, switching": ("[kernel", "[vdso"),
}
"""What is in the name of a library or a function; the first that fits counts. All the rest is the interpreter."""
INTERPRETER = "interpreter, Twisted and ourselves"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.profiling", description=__doc__)
    parser.add_argument("--size", type=parse_size, default=GIB, metavar="SIZE", help="of the file (default: 1 GiB)")
    parser.add_argument("--get", action="store_true", help="look at a GET instead")
    parser.add_argument("--functions", action="store_true", help="by py-spy, not by perf")
    parser.add_argument("--sync", action="store_true", help="storage nodes sync what they store")
    parser.add_argument("--scratch", type=Path, default=Path(__file__).with_name(".work"), metavar="DIR")
    arguments = parser.parse_args()
    command = PY_SPY if arguments.functions else PERF
    if shutil.which(command[0]) is None:
        parser.error(f"there is no {command[0]} on PATH")
    new_body, size = Bodies(), arguments.size
    with (
        scratch_directory(arguments.scratch.absolute()) as scratch,
        running_grid(scratch, sync=arguments.sync) as store,
    ):
        stored = measured_put(store, new_body(size if arguments.get else WARM_UP))
        looked_at = {"gateway": store.gateway, "storage nodes": store.storage_nodes[0]}
        with _recorded(command, looked_at, scratch) as profiles:
            done: Transfer = (
                measured_get(store, stored.file, size) if arguments.get else measured_put(store, new_body(size))
            )
        what = "GET" if arguments.get else "PUT"
        print(f"{what} of {shown(size)}: {done.rate:.0f} MB/s; processor seconds per GiB: {costs([done])}")
        spent = {"gateway": done.cost.gateway, "storage nodes": done.cost.storage_nodes}
        for name, profile in profiles.items():
            if arguments.functions:
                _tell_functions(name, profile.read_text().splitlines())
            else:
                _tell_kinds(name, profile, spent[name])
    return 0


@contextmanager
def _recorded(command: Sequence[str], processes: Mapping[str, Process], folder: Path) -> Iterator[Mapping[str, Path]]:
    """What they do while the block lasts."""
    profiles = {name: folder / f"{name}.profile" for name in processes}
    with ExitStack() as stack:
        for name, process in processes.items():
            recorder = subprocess.Popen(
                [word.format(pid=process.pid, output=profiles[name]) for word in command],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(_stop, recorder)
        sleep(LEAD)
        yield profiles


def _stop(recorder: subprocess.Popen[bytes]) -> None:
    # Then it writes what it has.
    recorder.send_signal(SIGINT)
    recorder.wait(120)


def _tell_kinds(name: str, profile: Path, spent: float) -> None:
    """`spent`: seconds for a GiB, of this process and all that are like it."""
    report = ("perf", "report", "-i", str(profile), "--stdio", "--no-children", "-g", "none", "-t", ";")
    told = subprocess.run([*report, "-F", "overhead,dso,sym"], capture_output=True, text=True, check=True).stdout
    shares: Counter[str] = Counter()
    for line in told.splitlines():
        if line.strip() and not line.startswith("#"):
            percent, _, where = line.partition(";")
            shares[_kind_of_work(where)] += round(float(percent.strip(" %")) * 100)
    total = shares.total()
    print(f"\n{name}, by perf, in processor seconds per GiB:")
    for kind, share in shares.most_common():
        print(f"  {spent * share / total:6.2f}  {share / total:4.0%}  {kind}")


def _kind_of_work(where: str) -> str:
    for kind, names in KINDS.items():
        if any(name in where for name in names):
            return kind
    return INTERPRETER


def _tell_functions(name: str, lines: Sequence[str]) -> None:
    """Those in which most looks found the reactor."""
    looks: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        thread, *frames = stack.split(";")
        if thread.endswith("MainThread") and frames and WAITING not in frames[-1]:
            looks[_short(frames[-1])] += int(count)
    print(f"\n{name}, by py-spy, of the reactor's time that it wasn't idle:")
    for function, often in looks.most_common(MOST_LINES):
        print(f"  {often / looks.total():6.1%}  {function}")


def _short(frame: str) -> str:
    """`function (folder/file)`, without the line."""
    function, _, place = frame.partition(" (")
    return f"{function} ({'/'.join(place.rstrip(')').rpartition(':')[0].split('/')[-2:])})"


if __name__ == "__main__":
    sys.exit(main())
