"""The `tahoeish` command: runs a node, shows its configuration, and puts and gets files as a client."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from tahoeish.client.exits import (
    EXIT_BROKEN_PIPE,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_MISUSED,
    drop_output,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status."""
    # Each command imports what it needs when it runs: help and the client have no use for a node's parts.
    from tahoeish.node.config import ConfigError
    from tahoeish.node.directory import NodeDirectoryError

    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.command(arguments)
        # That nobody reads it is to be found out here, and not when the interpreter exits.
        print(end="", flush=True)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_MISUSED
    except NodeDirectoryError as error:
        print(f"tahoeish: {error}", file=sys.stderr)
        return EXIT_FAILED
    except BrokenPipeError:
        # Whoever read it has had enough, and knows it.
        drop_output()
        return EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return status


def _parser() -> argparse.ArgumentParser:
    from tahoeish.client.cli import add_commands
    from tahoeish.node.administration import node_options
    from tahoeish.node.grid_commands import add_grid_commands
    from tahoeish.node.share_commands import add_share_commands
    from tahoeish.node.storage_commands import add_storage_commands
    from tahoeish.node.token_commands import add_token_commands
    from tahoeish.node.url_commands import add_url_commands
    from tahoeish.node.user_commands import add_user_commands

    parser: argparse.ArgumentParser = _Parser(
        prog="tahoeish",
        description="A storage node that encrypts, erasure-codes and distributes an upload while it arrives.",
        epilog="`tahoeish help COMMAND` says more of each.",
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    options = _overriding_options()
    run = commands.add_parser(
        "run",
        parents=[node_options(), options],
        help="run a node in the foreground",
        description="Run a node in the foreground. Where there is none yet, one is made.",
    )
    run.set_defaults(command=_run)
    config = commands.add_parser(
        "config",
        parents=[node_options(), options],
        help="print the effective configuration, or what is wrong with it",
        description="Print what the node would run with, defaults and all, or what is wrong with its configuration.",
    )
    config.set_defaults(command=_config)
    add_commands(commands)
    add_grid_commands(commands)
    add_storage_commands(commands)
    add_user_commands(commands)
    add_token_commands(commands)
    add_url_commands(commands)
    add_share_commands(commands)
    described = commands.add_parser("help", help="tell of the commands, or more of one")
    described.add_argument("words", metavar="COMMAND", nargs="*", help="such as run, or user add")
    described.set_defaults(command=_help)
    return parser


def _overriding_options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--encoding",
        metavar="NEEDED/TOTAL",
        help="make TOTAL shares of a file, any NEEDED of which suffice, whatever the configuration says",
    )
    options.add_argument(
        "--listen",
        metavar="ENDPOINT",
        action="append",
        help="listen there instead, such as tcp:8080:interface=127.0.0.1; can be given several times",
    )
    return options


def _help(arguments: argparse.Namespace) -> int:
    _parser().parse_args([*arguments.words, "--help"])
    return EXIT_DONE


def _run(arguments: argparse.Namespace) -> int:
    from tahoeish.node.run import run_node

    return run_node(arguments)


def _config(arguments: argparse.Namespace) -> int:
    from tahoeish.chk.erasure import best_codec
    from tahoeish.node.administration import directory_of
    from tahoeish.node.config import effective_text

    directory = directory_of(arguments)
    config = directory.config().overridden(encoding=arguments.encoding, listen=arguments.listen)
    if not directory.config_path.exists():
        print(f"# There is no {directory.config_path} yet; a first start writes it with these defaults.\n")
    print(effective_text(config), end="")
    print(f"\n# The erasure code is computed by {best_codec().name}.")
    return EXIT_DONE


class _Parser(argparse.ArgumentParser):
    """
    Says where there is more to read, too, and knows an argument that may be missing also behind an option.

    So do the parsers of commands, which argparse makes of the same class.
    """

    _has_commands = False
    _trying_again = False

    def add_subparsers(self, **how: Any) -> Any:
        self._has_commands = True
        return super().add_subparsers(**how)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        known, left = super().parse_known_args(args, namespace)
        if self._trying_again or not left or _is_option(left[0]) or self._has_commands:
            return known, left
        # In `get CAP -q FILE`, argparse takes FILE for missing when it comes to -q, and then has no place for it. Its
        # other way of parsing hasn't this fault, but others: it can't do commands, and may lose a "--".
        self._trying_again = True
        try:
            return self.parse_known_intermixed_args(args)
        finally:
            self._trying_again = False

    def error(self, message: str) -> NoReturn:
        super().error(f"{message}\n`{self.prog} --help` says more.")


def _is_option(word: str) -> bool:
    return word.startswith("-") and word not in ("-", "--")


class _Version(argparse.Action):
    """Like argparse's own, but looks the version up only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"tahoeish {version('tahoeish')}")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
