"""A music service with known truth, for tests and demonstrations."""
