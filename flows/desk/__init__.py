"""What an operator asks an output: what is at work, what was done, what failed and why.

Each module answers one command of ``fuse-archive``. It reads the output alone, needs neither Ray
nor a Prefect server, takes bounded memory, and returns a ``Summary``: data, and text for people.
Start reading at ``status``.
"""
