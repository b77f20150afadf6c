"""Candidates, ranking and rules as one object, used offline and online."""
