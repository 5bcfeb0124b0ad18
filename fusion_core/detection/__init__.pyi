from .detector import Detector as Detector
