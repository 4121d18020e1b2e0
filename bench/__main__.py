"""``python -m bench COMMAND``."""

from __future__ import annotations

import argparse

from bench import engines


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks of c2dkit.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    engines.add_arguments(commands.add_parser("engines", help=engines.__doc__))
    engines.main(parser.parse_args())


_main()
