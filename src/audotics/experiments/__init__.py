"""Experiments: who sees what, what it did to listeners, and what would have happened without showing it."""
