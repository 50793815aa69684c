"""Django's backend, with a pool that is over a restart of the server at once."""
