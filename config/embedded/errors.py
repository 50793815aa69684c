"""What embedded services raise."""


class EmbeddedServiceError(Exception):
    """A server can't be started, stopped or reached; the text says what to do."""
