"""Measures of image quality and of segmentations."""
