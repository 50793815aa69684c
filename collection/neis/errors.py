"""
What can go wrong with NEIS, by what is to be done about it.

    NeisError
    ├── Transient             ask again later
    │   ├── TimedOut            no connection, no byte, or no end in time
    │   ├── ConnectionFailed    refused, reset, cut
    │   ├── ServerFault         HTTP 5xx; ERROR-500, ERROR-600, ERROR-601
    │   ├── Throttled           HTTP 429 or 503 with Retry-After
    │   ├── Malformed           a body that is not what NEIS sends
    │   └── Incomplete          rows missing, a page repeated, totals that moved
    ├── DeadlinePassed        the fetch's own time is over; ask again later
    ├── Refused               ours to mend: asking again changes nothing
    │   ├── BadRequest          ERROR-300, ERROR-310, ERROR-333, ERROR-336; HTTP 4xx, redirects
    │   └── KeyMissing          no key: five rows of any answer
    └── KeyProblem            this key; another may work
        ├── KeySpent            ERROR-337
        └── KeyRefused          ERROR-290, INFO-300

No message holds an address, for an address holds the key.
"""


class NeisError(Exception):
    """`code` is NEIS's own ("ERROR-337"), "HTTP 503", or empty; `requests` is what it took."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.requests = 0


class Transient(NeisError):
    pass


class TimedOut(Transient):
    pass


class ConnectionFailed(Transient):
    pass


class ServerFault(Transient):
    pass


class Throttled(Transient):
    """`retry_after_seconds` is what NEIS asked for, None when it did not say."""

    def __init__(
        self, message: str, *, code: str = "", retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after_seconds = retry_after_seconds


class Malformed(Transient):
    """`sample` is the beginning of the body, without any key, for the person who looks."""

    def __init__(self, message: str, *, code: str = "", sample: str = "") -> None:
        super().__init__(message, code=code)
        self.sample = sample


class Incomplete(Transient):
    pass


class DeadlinePassed(NeisError):
    pass


class Refused(NeisError):
    pass


class BadRequest(Refused):
    pass


class KeyMissing(Refused):
    pass


class KeyProblem(NeisError):
    pass


class KeySpent(KeyProblem):
    pass


class KeyRefused(KeyProblem):
    pass


_BY_CODE: dict[str, type[NeisError]] = {
    "INFO-300": KeyRefused,
    "ERROR-290": KeyRefused,
    "ERROR-337": KeySpent,
    "ERROR-300": BadRequest,
    "ERROR-310": BadRequest,
    "ERROR-333": BadRequest,
    "ERROR-336": BadRequest,
    "ERROR-500": ServerFault,
    "ERROR-600": ServerFault,
    "ERROR-601": ServerFault,
}


def error_for(code: str, message: str) -> NeisError:
    """The error of a result code that is neither success nor "no data"; unknown ones may pass."""
    kind = _BY_CODE.get(code)
    if kind is None:
        return Transient(f"NEIS answered with a code that is not documented: {message}", code=code)
    return kind(message, code=code)
