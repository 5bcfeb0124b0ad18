"""Programs of ``torch.export``, read without unpickling and run as fusers.

``program`` reads the file, ``graph`` takes only torch's own tensor operators, ``sizes`` finds what
sizes a program accepts, and ``fuser`` runs it. Start reading at ``fuser``.
"""
