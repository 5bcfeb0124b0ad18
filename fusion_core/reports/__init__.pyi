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
from .page.comparison_page import ComparisonReport as ComparisonReport
from .page.comparison_page import write_comparison as write_comparison
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
from .sheets import (
    ShownPair as ShownPair,
)
from .sheets import (
    write_comparison_sheet as write_comparison_sheet,
)
from .sheets import (
    write_contact_sheet as write_contact_sheet,
)
