"""How near one picture is to another. Pure functions of two arrays, H x W x 3 float, [0, 1], RGB."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]

SIMILARITY_CONSTANT = 0.0026
"""Of Xue et al. (TIP 2014): 170 for values to 255, so that flat areas count as alike."""
SCALES = 3
FACE_BOX = (0.22, 0.30, 0.78, 0.86)
"""Left, top, right, bottom of the face on the FFHQ template, as dlib's own detector would draw it."""


def psnr(reference: FloatImage, picture: FloatImage) -> float:
    """Peak signal-to-noise ratio in dB over all channels; of equal pictures, 99."""
    error = float(np.mean((reference.astype(np.float64) - picture) ** 2))
    return 99.0 if error < 1e-10 else -10 * float(np.log10(error))


def gradient_similarity(reference: FloatImage, picture: FloatImage) -> float:
    """Mean similarity of gradient magnitudes on luma over three scales, 0-1; 1: the same edges."""
    first, second = (
        np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32) for image in (reference, picture)
    )
    scores = []
    for scale in range(SCALES):
        if scale:
            first, second = (np.asarray(cv2.pyrDown(image), np.float32) for image in (first, second))
        a, b = _slope(first), _slope(second)
        scores.append(np.mean((2 * a * b + SIMILARITY_CONSTANT) / (a**2 + b**2 + SIMILARITY_CONSTANT)))
    return float(np.mean(scores))


def _slope(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    kernel = np.array([[1, 0, -1]] * 3, np.float32) / 3
    across, down = cv2.filter2D(luma, -1, kernel), cv2.filter2D(luma, -1, np.ascontiguousarray(kernel.T))
    return np.hypot(across, down)


class Identity:
    """Distance of two faces in dlib's 128-dimensional embedding; 0.6 is its "same person"."""

    def __init__(self, landmarks: str, network: str) -> None:
        import dlib

        self._rectangle = dlib.rectangle
        self._landmarks = dlib.shape_predictor(landmarks)
        self._network = dlib.face_recognition_model_v1(network)

    @classmethod
    def if_installed(cls) -> Identity | None:
        """With the models of the package `face-recognition-models` and `dlib-bin`; None without them."""
        package = find_spec("face_recognition_models")
        if not (find_spec("dlib") and package and package.origin):
            return None
        # Found, not imported: the package itself asks for a module that newer setuptools lack.
        models = Path(package.origin).parent / "models"
        names = ("shape_predictor_5_face_landmarks.dat", "dlib_face_recognition_resnet_model_v1.dat")
        return cls(*(str(models / name) for name in names))

    def distance(self, first: FloatImage, second: FloatImage) -> float:
        """0: the same face to the last detail."""
        return float(np.linalg.norm(self._embedding(first) - self._embedding(second)))

    def _embedding(self, picture: FloatImage) -> NDArray[np.float64]:
        """128 numbers for a crop on the FFHQ template: there the face's place is known."""
        side = picture.shape[0]
        bytes_ = np.ascontiguousarray(np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8))
        box = self._rectangle(*(round(side * share) for share in FACE_BOX))
        return np.array(self._network.compute_face_descriptor(bytes_, self._landmarks(bytes_, box)))
