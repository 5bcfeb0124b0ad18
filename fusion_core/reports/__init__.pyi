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
