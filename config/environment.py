"""Readers of environment variables that name the variable and the value when one is wrong."""

import os
import socket
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def flag(name: str, *, default: bool) -> bool:
    raw = text(name).lower()
    if not raw:
        return default
    if raw in _TRUE:
        return True
    if raw in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name}={raw!r}: write one of {sorted(_TRUE | _FALSE)}.")


def number(name: str, default: int, *, least: int = 0) -> int:
    raw = text(name, str(default))
    try:
        value = int(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={raw!r}: write a whole number.") from None
    if value < least:
        raise ImproperlyConfigured(f"{name}={raw!r}: write a number of at least {least}.")
    return value


def decimal(name: str, default: str, *, least: str = "0") -> float:
    raw = text(name, default)
    try:
        value = Decimal(raw)
    except InvalidOperation:
        raise ImproperlyConfigured(f"{name}={raw!r}: write a number, such as 2.5.") from None
    if not value.is_finite() or value < Decimal(least):
        raise ImproperlyConfigured(f"{name}={raw!r}: write a number of at least {least}.")
    return float(value)


def share(name: str, default: str) -> float:
    value = decimal(name, default)
    if value > 1:
        raise ImproperlyConfigured(f"{name}={value:g}: write a share from 0 to 1, such as 0.05.")
    return value


def items(name: str, default: Sequence[str] = ()) -> list[str]:
    raw = text(name)
    return [item.strip() for item in raw.split(",") if item.strip()] if raw else list(default)


def http_url(name: str, default: str) -> str:
    raw = text(name, default).rstrip("/")
    parts = urlsplit(raw)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.username:
        raise ImproperlyConfigured(
            f"{name} must be an http(s) address without user, password and query, "
            "such as https://open.neis.go.kr/hub."
        )
    if _is_link_local(parts.hostname):
        raise ImproperlyConfigured(
            f"{name}={raw!r}: this address is link-local, where clouds hand out credentials and "
            "no service is. Write the address of the service itself."
        )
    return raw


def _is_link_local(host: str) -> bool:
    """However it is written: sockets also take 0xa9fea9fe and ::ffff:169.254.169.254."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        try:
            address = ip_address(socket.inet_aton(host))
        except OSError:
            return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_link_local


def secret_url(name: str, *, schemes: Sequence[str]) -> str:
    """The address in `name`, or "" when unset. It may hold a password: never shown when wrong."""
    raw = text(name)
    if raw and urlsplit(raw).scheme not in schemes:
        raise ImproperlyConfigured(f"{name}: the address must begin with one of {list(schemes)}.")
    return raw
