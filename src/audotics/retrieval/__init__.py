"""Retrievers: each proposes tracks for a query, with a score."""
