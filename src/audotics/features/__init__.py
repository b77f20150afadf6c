"""The scikit-learn layer: what is made of tracks, listeners and context."""
