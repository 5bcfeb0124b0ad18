"""Keeping house in an output: what is wrong in it, and what may go.

Nothing here is needed by a run. All of it reads what runs wrote; only ``clean``, ``superseded`` and
``forget`` remove anything. Start reading at ``inventory``, which all others are made of.
"""
