"""Entry of the `mapper` command: finds the command's module, turns errors into one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from mapper_ai.cli.commands import (
    COMMANDS,
    DONE,
    FINDINGS,
    INTERRUPTED,
    INVALID,
    USAGE,
    command_parser,
    complain,
    overview,
    say,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] in (["--version"], ["-V"]):
        from importlib.metadata import version

        say(f"mapper {version('mapper-ai')}")
        return DONE
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(overview())
        return DONE if arguments else USAGE
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        complain(f"unknown command '{name}'{_nearest(name)}; see mapper --help")
        return USAGE
    return _guarded(name, rest)


def _nearest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    return f", did you mean '{near[0]}'?" if near else ""


def _guarded(name: str, rest: list[str]) -> int:
    try:
        code = _run(name, rest)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has gone (`| head`); without this Python complains again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINDINGS
    except KeyboardInterrupt:
        complain("stopped")
        return INTERRUPTED
    except Exception as error:
        expected = _expected(error)
        if expected is None:
            raise
        complain(error)
        return expected


def _run(name: str, rest: list[str]) -> int:
    command = COMMANDS[name]
    module: Any = import_module(f"mapper_ai.cli.{command.module}")
    function = name.replace("-", "_")
    if command.raw:
        return int(getattr(module, f"run_{function}")(rest))
    parser = command_parser(name)
    getattr(module, f"configure_{function}")(parser)
    try:
        args = parser.parse_args(rest)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else USAGE
    return int(getattr(module, f"run_{function}")(args))


def _expected(error: Exception) -> int | None:
    """The exit code of an error that a person can mend; None for a mistake in the program."""
    from connectors.systems_config import ProfileError
    from mapper_ai.errors import MapperError
    from mapper_ai.services.sampling import SampleError

    if isinstance(error, MapperError | SampleError | ProfileError):
        return INVALID
    if isinstance(error, OSError):
        return FINDINGS
    from mapspec.errors import SpecError

    return INVALID if isinstance(error, SpecError) else None


if __name__ == "__main__":
    sys.exit(main())
