"""Takes keys out of text that is about to be logged, stored or shown."""

import logging
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

_MASK = "[hidden]"
_PARAMETER = re.compile(r"(?i)(\bKEY=)[^&\s'\"<>)]+")


class Redactor:
    """Hides each secret as it is and URL-encoded, and the value of any KEY parameter."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {
            form
            for secret in secrets
            if secret
            for form in (secret, quote(secret), quote_plus(secret))
        }
        longest_first = sorted(map(re.escape, forms), key=len, reverse=True)
        self._secrets = re.compile("|".join(longest_first)) if forms else None

    def __call__(self, text: str) -> str:
        if self._secrets is not None:
            text = self._secrets.sub(_MASK, text)
        return _PARAMETER.sub(rf"\1{_MASK}", text)


class RedactingFilter(logging.Filter):
    """Redacts a record whole, its traceback too."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._redact = Redactor(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._redact(record.getMessage()), None
        if record.exc_info:
            record.exc_text = self._redact(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        return True
