"""``python -m bench COMMAND``."""

from __future__ import annotations

import argparse

from bench import durable, engines, half_open, start_up


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks of c2dkit.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in (
        ("engines", engines),
        ("half-open", half_open),
        ("start-up", start_up),
        ("durable", durable),
    ):
        subparser = commands.add_parser(name, help=command.__doc__)
        command.add_arguments(subparser)
        subparser.set_defaults(main=command.main)
    arguments = parser.parse_args()
    arguments.main(arguments)


_main()
