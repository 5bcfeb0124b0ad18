from .attempts import (
    ATTEMPT_COLUMNS as ATTEMPT_COLUMNS,
)
from .attempts import (
    Patience as Patience,
)
from .attempts import (
    last_attempts as last_attempts,
)
from .clip_names import are_clips as are_clips
from .fencing import with_intents as with_intents
from .found_pairs import FoundPairs as FoundPairs
from .fused_images import FusedImages as FusedImages
from .fused_images import with_sides as with_sides
from .in_vain import ROWS_ASKED as ROWS_ASKED
from .in_vain import InVain as InVain
from .index.key_index import KeyIndex as KeyIndex
from .index.key_index import open_index as open_index
from .index.rebuild import differences as differences
from .index.rebuild import rebuild as rebuild
from .index.state import newest_number as newest_number
from .index.update import merge_shards as merge_shards
from .keeping.check import Finding as Finding
from .keeping.check import check as check
from .keeping.clean import CleanPlan as CleanPlan
from .keeping.clean import clean as clean
from .keeping.clean import plan_clean as plan_clean
from .keeping.forget import JOURNAL as JOURNAL
from .keeping.forget import Search as Search
from .keeping.forget import begun_before as begun_before
from .keeping.forget import forget as forget
from .keeping.forget import search_for as search_for
from .keeping.superseded import SUPERSEDED_JOURNAL as SUPERSEDED_JOURNAL
from .keeping.superseded import finish_superseded as finish_superseded
from .keeping.superseded import superseding_since as superseding_since
from .keeping.superseded import take_superseded_out as take_superseded_out
from .layout import (
    DETECTIONS_FOLDER as DETECTIONS_FOLDER,
)
from .layout import (
    INDEX_PATH as INDEX_PATH,
)
from .layout import (
    MANIFEST_FOLDER as MANIFEST_FOLDER,
)
from .layout import (
    NIGHTS_PATH as NIGHTS_PATH,
)
from .layout import (
    RUNS_FOLDER as RUNS_FOLDER,
)
from .layout import (
    SCORES_FOLDER as SCORES_FOLDER,
)
from .layout import (
    TABLES as TABLES,
)
from .layout import (
    part_path as part_path,
)
from .layout import (
    request_path as request_path,
)
from .lease import Lease as Lease
from .lease import acquire as acquire
from .lease_record import LeaseRecord as LeaseRecord
from .lease_record import declared_intents as declared_intents
from .lease_record import newest_generation as newest_generation
from .lease_record import read_record as read_record
from .lease_record import record_path as record_path
from .manifest import newest_rows as newest_rows
from .manifest import read_manifest as read_manifest
from .older import split_by_version as split_by_version
from .older import standing_rows as standing_rows
from .pairing import Pairing as Pairing
from .parts import read_part as read_part
from .path_template import parse_templates as parse_templates
from .plan import (
    PAIR_KEY as PAIR_KEY,
)
from .plan import (
    SCORE_KEY as SCORE_KEY,
)
from .plan import (
    Chunk as Chunk,
)
from .plan import (
    PairRef as PairRef,
)
from .plan import (
    Plan as Plan,
)
from .plan import (
    cut_chunks as cut_chunks,
)
from .plan import (
    make_plan as make_plan,
)
from .plan import (
    total_bytes as total_bytes,
)
from .planning import plan_pairs as plan_pairs
from .publications import publications as publications
from .published_rows import Mark as Mark
from .published_rows import published_since as published_since
from .published_rows import read_row_groups as read_row_groups
from .publisher import Publisher as Publisher
from .row_search import Wanted as Wanted
from .row_search import find_rows as find_rows
from .run_figures import (
    Chosen as Chosen,
)
from .run_figures import (
    Histogram as Histogram,
)
from .run_figures import (
    choose_pairs as choose_pairs,
)
from .run_figures import (
    footprints as footprints,
)
from .run_figures import (
    metric_histograms as metric_histograms,
)
from .run_figures import (
    seconds_by_stage as seconds_by_stage,
)
from .run_rows import (
    RUN_SCHEMA as RUN_SCHEMA,
)
from .run_rows import (
    RunRows as RunRows,
)
from .run_rows import (
    collect_rows as collect_rows,
)
from .run_rows import (
    evenly as evenly,
)
from .run_rows import (
    read_rows as read_rows,
)
from .schema import MANIFEST_SCHEMA as MANIFEST_SCHEMA
from .spill import (
    Spill as Spill,
)
from .spill import (
    SpillWriter as SpillWriter,
)
from .spill import (
    spill as spill,
)
from .stored_images import (
    IMAGE_COLUMNS as IMAGE_COLUMNS,
)
from .stored_images import (
    stored_image as stored_image,
)
from .tables import DETECTIONS_SCHEMA as DETECTIONS_SCHEMA
from .visible_text import visible as visible
