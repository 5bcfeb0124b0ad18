"""Summaries of runs: one class for each kind of run, all of them a ``Summary``.

A summary is validated data, returned by the flow; most are stored as JSON beside the results. It
tells itself in a sentence and in markdown, and does nothing else. Start reading at ``base``.
"""
