"""Judges: what synthetic images are worth, measured with networks and metrics."""
