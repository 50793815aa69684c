"""Imports every scenario, so that the registry is full."""

from tests.faults.scenarios import database, delivery, operations, schedules, soak, upstream

__all__ = ["database", "delivery", "operations", "schedules", "soak", "upstream"]
