from .comparison import Comparison as Comparison
from .comparison import compare as compare
from .comparison_table import (
    csv_table as csv_table,
)
from .comparison_table import (
    latex_table as latex_table,
)
from .comparison_table import (
    markdown_table as markdown_table,
)
from .detection_sheet import (
    ShownDetections as ShownDetections,
)
from .detection_sheet import (
    write_detection_sheet as write_detection_sheet,
)
from .detection_table import (
    csv_detections as csv_detections,
)
from .detection_table import (
    latex_detections as latex_detections,
)
from .detection_table import (
    markdown_detections as markdown_detections,
)
from .page.comparison_page import ComparisonReport as ComparisonReport
from .page.comparison_page import write_comparison as write_comparison
from .page.detection_page import DetectionReport as DetectionReport
from .page.detection_page import write_detection_page as write_detection_page
from .page.footprint_map import Footprint as Footprint
from .page.night import Night as Night
from .page.nights import (
    MOST_NIGHTS as MOST_NIGHTS,
)
from .page.nights import (
    kept_body as kept_body,
)
from .page.nights import (
    newest as newest,
)
from .page.nights import (
    nights_page as nights_page,
)
from .page.nights import (
    read_kept as read_kept,
)
from .page.report import (
    RunReport as RunReport,
)
from .page.report import (
    write_report as write_report,
)
from .preview import preview as preview
from .published import PublishedRow as PublishedRow
from .published import published_sets as published_sets
from .published_detections import (
    PublishedDetection as PublishedDetection,
)
from .published_detections import (
    parse_published_detections as parse_published_detections,
)
from .sheets import (
    ShownPair as ShownPair,
)
from .sheets import (
    write_comparison_sheet as write_comparison_sheet,
)
from .sheets import (
    write_contact_sheet as write_contact_sheet,
)
