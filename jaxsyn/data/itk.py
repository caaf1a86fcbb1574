"""Arrays to SimpleITK and back; it is in the extra `prep`."""

from jaxtyping import Float, Num
import numpy as np

from jaxsyn.errors import UsageError

# ITK's millimetres run to the patient's left and back, those of NIfTI to the right
# and the front.
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def load():
    """SimpleITK, on one thread: cases are prepared on all cores, and alike on any.

    Raises:
      UsageError: It is not installed.
    """
    try:
        import SimpleITK
    except ImportError as error:
        raise UsageError(
            "SimpleITK is not installed.", hint="pip install 'jaxsyn[prep]'"
        ) from error
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    return SimpleITK


def of_array(array: Num[np.ndarray, "x y z"], affine: Num[np.ndarray, "4 4"]):
    """The image of an array; the affine may not shear."""
    image = load().GetImageFromArray(np.ascontiguousarray(array.T))
    affine = _LPS @ affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    return image


def to_array(image) -> Num[np.ndarray, "x y z"]:
    """The array of an image, [X, Y, Z]."""
    return load().GetArrayFromImage(image).T


def matrix(transform) -> Float[np.ndarray, "4 4"]:
    """An affine transform of ITK's points, for RAS+ millimetres."""
    linear = np.array(transform.GetMatrix()).reshape(3, 3)
    centre = np.array(transform.GetCenter())
    found = np.eye(4)
    found[:3, :3] = linear
    found[:3, 3] = np.array(transform.GetTranslation()) + centre - linear @ centre
    return _LPS @ found @ _LPS
