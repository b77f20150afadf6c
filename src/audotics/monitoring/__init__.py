"""Monitoring: whether what comes in and what goes out still looks like what was trained on."""
