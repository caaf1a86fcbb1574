"""Cases brought to one template's position, size and tilt."""

import dataclasses

import numpy as np

from jaxsyn.data import itk, nifti
from jaxsyn.data.cases import CaseVolumes
from jaxsyn.data.regrid import regrid
from jaxsyn.errors import DataError, UsageError

_BINS = 50
_SHARE = 0.2  # Of the voxels, in which images are compared.


@dataclasses.dataclass(frozen=True)
class Step:
    """Registers a case to a template, affinely, and takes it onto the template's grid.

    By mutual information (Mattes et al. 2003, https://doi.org/10.1109/TMI.2003.809072),
    in three resolutions, by SimpleITK. What is synthesised goes back to the case's own
    grid by the inverse.

    Attributes:
      template: A NIfTI file, skull-stripped if the cases are.
      image: Which of the modalities, counted from 0, is compared with it.
    """

    template: str
    image: int = 0

    def __post_init__(self):
        if not self.template:
            raise UsageError(
                "config.data.prepare: register has no template.",
                hint='Write {"name": "register", "template": FILE}.',
            )

    @property
    def files(self) -> tuple[str, ...]:
        """The template."""
        return (self.template,)

    def __call__(self, volumes: CaseVolumes) -> CaseVolumes:
        """The case on the template's grid.

        Raises:
          DataError: The template cannot be read, or no registration is found.
        """
        template = nifti.read(self.template)
        if self.image >= len(volumes.images):
            raise UsageError(
                f"config.data.prepare: register compares image {self.image}.",
                hint=f"There are {len(volumes.images)}, counted from 0.",
            )
        moving = volumes.images[self.image].astype(np.float32)
        transform = _find(
            itk.of_array(template.data.astype(np.float32), template.affine),
            itk.of_array(moving, volumes.affine),
        )
        return regrid(volumes, template.data.shape, template.affine, transform)


def _find(fixed, moving):
    """4×4, from the template's RAS+ millimetres to the case's."""
    sitk = itk.load()
    start = sitk.CenteredTransformInitializer(
        fixed,
        moving,
        sitk.AffineTransform(3),
        sitk.CenteredTransformInitializerFilter.MOMENTS,
    )
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(_SHARE, seed=1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, 200)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2.0, 1.0, 0.0])
    method.SetInitialTransform(start, inPlace=True)
    try:
        method.Execute(fixed, moving)
    except RuntimeError as error:
        raise DataError(
            f"It cannot be registered to the template: {str(error).splitlines()[-1]}",
            hint="Look at the two images: do they show the same?",
        ) from error
    return itk.matrix(start)
