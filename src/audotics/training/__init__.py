"""From a Dataset to a published version."""
