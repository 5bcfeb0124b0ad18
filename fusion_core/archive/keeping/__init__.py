"""Keeping house in an output: what is wrong in it, and what may go.

Nothing here is needed by a run. All of it reads what runs wrote, in bounded memory, and only
``clean`` removes anything. Start reading at ``inventory``, which both others are made of.
"""
