"""Phantom patients: the data set that is always there.

Brains are smooth random deformations of the MNI152 tissue maps, tumours and infarcts
grow in them by a reaction-diffusion model, and scanners of their own take the images.

    python -m jaxsyn.data.phantom --out DIR --patients N --seed S
"""

from jaxsyn.data.phantom.write import write_phantom

__all__ = ["write_phantom"]
