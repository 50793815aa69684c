"""python -m tests.faults [F01 F02 …] [--seed N] [--quick] [--controls] [--soak MINUTES]"""

import argparse
import os
import random
import signal
import sys
import tempfile
from pathlib import Path

import django


def main() -> int:
    arguments = _parser().parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("SECRET_KEY", "for-tests-only")
    django.setup()
    # As Ctrl-C: what was started is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    from tests.faults import campaign

    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        return campaign.carry_out(arguments, Path(folder))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="F01", help="All but the soak by default.")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 100_000))
    parser.add_argument("--quick", action="store_true", help="The small size, as in the tests.")
    parser.add_argument("--controls", action="store_true", help="Guards off: all must go red.")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="F40, for so long.")
    parser.add_argument("--fetches", type=int, default=40_000, help="Of the soak, at least.")
    parser.add_argument("--output", type=Path, default=Path(".local/faults"), metavar="FOLDER")
    return parser


if __name__ == "__main__":
    sys.exit(main())
