from hypothesis import settings

# Examples have no deadline of their own: on shared cores it measures the neighbours. pytest-timeout ends what hangs.
settings.register_profile("audotics", deadline=None)
settings.load_profile("audotics")
