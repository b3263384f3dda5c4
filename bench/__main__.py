"""`bench/run`: measures a node, and says what it found."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGTERM, default_int_handler, signal

from bench.findings import Finding, failed
from bench.machine import describe
from bench.report import CannotUpdate, Report, Run
from bench.rows import ROWS
from bench.setting import QUICK, Scale, Setting, scratch_directory
from bench.sizes import parse_size

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"

_SIZES = ("small", "large", "short", "throughput", "client_file", "beside", "huge")
_COUNTS = ("clients", "runs", "large_runs", "small_files")


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 if everything that was asked holds, else 1."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    # Like Ctrl-C, so that nodes are ended and their data is taken away.
    signal(SIGTERM, default_int_handler)
    chosen = arguments.rows or list(ROWS)
    scale = _scale(arguments)
    output = _output(arguments, chosen, scale)
    try:
        # An hour later would be too late to say that it can't be read.
        earlier = Report.written(output) if arguments.update and output is not None else Report([])
    except CannotUpdate as error:
        parser.error(str(error))
    if arguments.update and output is None:
        parser.error("--update in another than the full size needs an --output of its own")
    with scratch_directory(arguments.scratch.absolute()) as scratch:
        run = Run(
            begun=datetime.now(UTC),
            command=shlex.join(["bench/run", *(sys.argv[1:] if argv is None else argv)]),
            scale=asdict(scale),
            machine=describe(scratch),
            rows=_measured(chosen, Setting(scale, scratch)),
        )
    if output is not None:
        earlier.updated(run).write(output, list(ROWS))
    print(Report([run]).markdown(list(ROWS)))
    return 0 if run.all_hold else 1


def _output(arguments: argparse.Namespace, chosen: Sequence[str], scale: Scale) -> Path | None:
    given: Path | None = arguments.output
    is_worth_keeping = scale == Scale() and (arguments.update or set(chosen) == set(ROWS))
    return given or (RESULTS if is_worth_keeping else None)


def _measured(chosen: Sequence[str], setting: Setting) -> Mapping[str, Sequence[Finding]]:
    found: dict[str, list[Finding]] = {name: [] for name in chosen}
    for name, findings in found.items():
        print(f"-- {name}", file=sys.stderr, flush=True)
        try:
            for finding in ROWS[name](setting):
                if finding.point is None:
                    print(f"{finding.what}: {finding.measured} [{finding.verdict}]", file=sys.stderr, flush=True)
                findings.append(finding)
        except Exception as error:
            # What the other rows have to say is wanted all the same.
            print(f"{name} broke off: {error}", file=sys.stderr, flush=True)
            findings.append(failed(name, error))
    return found


def _scale(arguments: argparse.Namespace) -> Scale:
    scale = QUICK if arguments.quick else Scale()
    given = {field.name: getattr(arguments, field.name, None) for field in fields(Scale)}
    return replace(scale, **{name: value for name, value in given.items() if value is not None})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench/run",
        description="Measures a node of its own. A run of all rows in full size writes bench/RESULTS.md.",
    )
    parser.add_argument(
        "rows", nargs="*", type=_row, metavar="ROW", help=f"what to measure, of: {', '.join(ROWS)} (default: all)"
    )
    parser.add_argument("--quick", action="store_true", help="small and once, to see that everything works")
    parser.add_argument("--output", type=Path, metavar="FILE.md", help="write the table here, and the JSON beside it")
    parser.add_argument(
        "--update", action="store_true", help="keep what is there of other rows (without --output: in RESULTS.md)"
    )
    parser.add_argument(
        "--scratch",
        type=Path,
        metavar="DIR",
        default=HERE / ".work",
        help="where the nodes' data lies meanwhile, up to 36 GB at a time (default: bench/.work)",
    )
    for name in _SIZES:
        parser.add_argument(
            _option(name), type=parse_size, metavar="SIZE", help=f"such as {getattr(Scale(), name) >> 20}M"
        )
    for name in _COUNTS:
        parser.add_argument(_option(name), type=int, metavar="N", help=f"default: {getattr(Scale(), name)}")
    return parser


def _row(name: str) -> str:
    if name not in ROWS:
        raise argparse.ArgumentTypeError(f"there is no row {name!r}; there are {', '.join(ROWS)}")
    return name


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
