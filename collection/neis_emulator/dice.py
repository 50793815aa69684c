"""Chance that is the same in every process: all of it comes from the parts of a name."""

from hashlib import blake2b
from random import Random

_SPAN = 2**64


def fraction(*parts: object) -> float:
    """A number in [0, 1) that belongs to these parts."""
    return number(*parts) / _SPAN


def number(*parts: object) -> int:
    """A 64-bit number that belongs to these parts."""
    digest = blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def generator(*parts: object) -> Random:
    """A generator of its own for these parts (a text seed does not depend on `hash()`)."""
    return Random("/".join(map(str, parts)))


def spread(total: int, weights: list[float]) -> list[int]:
    """Whole shares of `total` in proportion to the weights, by the largest remainder."""
    sum_of_weights = sum(weights)
    exact = [total * weight / sum_of_weights for weight in weights]
    shares = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: shares[i] - exact[i])
    for i in by_remainder[: total - sum(shares)]:
        shares[i] += 1
    return shares
