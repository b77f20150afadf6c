"""Versions and aliases on disk; knows files only."""
