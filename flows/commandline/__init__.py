"""The command line's parts: options made of settings, what is checked first, what is printed.

``flows.cli`` puts them together. Nothing here is loaded by a flow, and nothing heavy (torch, Ray,
Prefect) is loaded here before a command has been understood.
"""
