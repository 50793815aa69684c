"""The settings as a production machine has them, and what they refuse."""

import os
import subprocess
import sys
from contextlib import nullcontext

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from config import environment as variables

PRODUCTION = {
    "DATABASE_URL": "postgres://neis:hidden@127.0.0.1:1/neis",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "SECRET_KEY": "Zk3v9QmX7pL2wR8tY4uB6nC1dF5gH0jS-aE_iOqWxVz3K7M9sT4v",
    "ALLOWED_HOSTS": "neis.example.kr",
    "HTTPS": "on",
    "NEIS_API_KEYS": "key-one",
}


def _check(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "manage.py", "check", *arguments],
        cwd=settings.BASE_DIR,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_deployment_checks_are_clean_when_https_is_on() -> None:
    done = _check("--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NEIS_REQUESTS_PER_SECOND", "fast"),
        ("NEIS_MAX_IN_FLIGHT", "-1"),
        ("HTTPS", "perhaps"),
        ("NEIS_BASE_URL", "ftp://open.neis.go.kr"),
        ("NEIS_BASE_URL", "http://169.254.169.254/hub"),
        ("SECRET_KEY", ""),
        ("DATABASE_URL", "mysql://root:hidden@db/neis"),
        ("ALERT_WEBHOOK_URL", "hooks.example.com/hidden"),
    ],
)
def test_start_is_refused_with_the_name_of_what_is_wrong(name: str, value: str) -> None:
    done = _check(**{**PRODUCTION, name: value})
    assert done.returncode != 0
    assert name in done.stderr
    assert "hidden" not in done.stderr


@pytest.mark.parametrize(
    ("address", "taken"),
    [
        ("http://169.254.169.254/latest", False),
        ("http://0xa9fea9fe/latest", False),
        ("http://2852039166/latest", False),
        ("http://[::ffff:169.254.169.254]/latest", False),
        ("http://[fe80::1%25eth0]/hub", False),
        ("http://127.0.0.1:8400/hub", True),
        ("http://10.0.0.7/hub", True),
        ("http://[::1]:8400/hub", True),
        ("https://open.neis.go.kr/hub", True),
    ],
)
def test_no_link_local_address_is_taken(
    monkeypatch: pytest.MonkeyPatch, address: str, taken: bool
) -> None:
    monkeypatch.setenv("NEIS_BASE_URL", address)
    with nullcontext() if taken else pytest.raises(ImproperlyConfigured, match="link-local"):
        assert variables.http_url("NEIS_BASE_URL", "") == address
