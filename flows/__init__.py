"""Prefect: the flows, their artifacts and schedules, and the command line."""
