"""Past one machine: the same code on Ray."""
