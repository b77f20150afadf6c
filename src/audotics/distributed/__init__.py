"""Past one machine: the same code on Ray.

Ray is imported inside functions only, so that nothing else needs it.
"""
