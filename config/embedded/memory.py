"""How much memory a server may count on."""

import os
from pathlib import Path

CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def available_bytes() -> int:
    """The machine's memory or the container's share of it, whichever is less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_container_limits()])


def _container_limits() -> list[int]:
    texts = [path.read_text().strip() for path in CONTAINER_LIMITS if path.exists()]
    return [int(text) for text in texts if text.isdigit()]
