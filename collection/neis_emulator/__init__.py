"""An emulator of the NEIS Open API over real HTTP. It shares no code with the client."""

from .clock import Clock
from .emulator import Emulator, running
from .faults import KINDS, Fault, all_transient
from .schools import School
from .world import World

__all__ = ["KINDS", "Clock", "Emulator", "Fault", "School", "World", "all_transient", "running"]
