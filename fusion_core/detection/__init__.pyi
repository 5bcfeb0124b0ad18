from .average_precision import require_pycocotools as require_pycocotools
from .boxes import BOX_COLUMNS as BOX_COLUMNS
from .boxes import Boxes as Boxes
from .comparison import (
    DetectedPair as DetectedPair,
)
from .comparison import (
    DetectionComparison as DetectionComparison,
)
from .comparison import (
    compare_detections as compare_detections,
)
from .comparison import (
    detected_pairs as detected_pairs,
)
from .comparison import (
    most_different as most_different,
)
from .detector import Detector as Detector
from .detector_file import (
    DETECTION_VERSION as DETECTION_VERSION,
)
from .detector_file import (
    DetectorFile as DetectorFile,
)
from .detector_file import (
    read_detector as read_detector,
)
from .label_files import read_labels as read_labels
from .label_files import read_named as read_named
from .label_matching import MatchedLabels as MatchedLabels
from .label_matching import match_labels as match_labels
from .labels import with_classes as with_classes
