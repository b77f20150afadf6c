"""Rankers: order the candidates of a query; the deep one and its rivals."""
