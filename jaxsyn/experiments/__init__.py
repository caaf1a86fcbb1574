"""Grids of jobs: what a paper's table needs, run, summarised and reported."""
