"""python -m collection.neis_emulator: prints its address as one line of JSON and serves."""

import argparse
import asyncio
import signal
import sys
from datetime import datetime
from pathlib import Path

import orjson

from .clock import Clock
from .emulator import Emulator
from .faults import Fault, all_transient
from .offices import NATION, OFFICES
from .world import World


def main() -> None:
    arguments = _parser().parse_args()
    emulator = Emulator(
        _world(arguments),
        keys=arguments.keys.split(","),
        daily_limit=arguments.daily_limit,
        cache_megabytes=arguments.cache_mb,
    )
    emulator.faults.switch(_faults(arguments.faults))
    asyncio.run(_serve(emulator, arguments.port))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m collection.neis_emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--schools", type=int, default=300)
    parser.add_argument("--offices", default="I10,T10", help="comma separated")
    parser.add_argument("--nation", action="store_true", help=f"all offices, {NATION} schools")
    parser.add_argument("--keys", default="emulator-key", help="comma separated")
    parser.add_argument("--daily-limit", type=int, default=None, metavar="CALLS")
    parser.add_argument("--faults", default="", help='"all", or a file with a JSON list')
    parser.add_argument("--now", default="", help="the emulator's time; it stands still")
    parser.add_argument("--dirty-rows", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--cache-mb", type=int, default=512)
    parser.add_argument("--vacation", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--late-publishers", action=argparse.BooleanOptionalAction, default=True)
    return parser


def _world(arguments: argparse.Namespace) -> World:
    clock = Clock(datetime.fromisoformat(arguments.now)) if arguments.now else Clock()
    return World(
        arguments.seed,
        schools=NATION if arguments.nation else arguments.schools,
        offices=tuple(OFFICES) if arguments.nation else tuple(arguments.offices.split(",")),
        vacation=arguments.vacation,
        late_publishers=arguments.late_publishers,
        dirty_rows=arguments.dirty_rows,
        clock=clock,
    )


def _faults(choice: str) -> list[Fault]:
    if not choice:
        return []
    if choice == "all":
        return all_transient()
    return [Fault.of(item) for item in orjson.loads(Path(choice).read_bytes())]


async def _serve(emulator: Emulator, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await emulator.listen(port)
    sys.stdout.buffer.write(orjson.dumps({"base_url": emulator.base_url}) + b"\n")
    sys.stdout.flush()
    await stop.wait()
    server.close()


main()
