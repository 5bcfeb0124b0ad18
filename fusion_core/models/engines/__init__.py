"""What computes a network of this project: torch as it is, compiled, or OpenVINO.

``engine`` is the interface, ``choice`` takes the best that is installed. ``converted`` makes of a
network what OpenVINO reads, and ``converted_file`` keeps that in files. Nothing here pads or crops:
images come as ``NetworkFuser`` has made them. Start reading at ``engine``.
"""
