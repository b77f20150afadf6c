"""Listening data: the schema, importers, the Dataset folder, splits and the index-space Corpus."""
