"""Accounts and the log: what the console needs besides the collection."""

from dashboard.admin import accounts, locks, log

__all__ = ["accounts", "locks", "log"]
