"""The engine turns a task and a loader into trained weights; only here is Composer known.

`training.engine.fit` is its public face and imports no Composer itself: that takes ten seconds, and happens when the
first training begins.
"""
