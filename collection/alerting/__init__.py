"""Tells people what needs them: noticed once, sent at most once, and told when it is well again."""
