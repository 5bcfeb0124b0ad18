from .dates import LOOK_BACK as LOOK_BACK
from .digest import settings_digest as settings_digest
from .expectations import ExpectationSettings as ExpectationSettings
from .expectations import bounds_text as bounds_text
from .fuse import (
    IMAGE_VERSION as IMAGE_VERSION,
)
from .fuse import (
    FuseArchiveSettings as FuseArchiveSettings,
)
from .fuse import (
    ImageSettings as ImageSettings,
)
from .groups import GROUPS as GROUPS
from .groups import Group as Group
from .groups import grouped as grouped
from .override import OverrideOf as OverrideOf
from .override import overridden as overridden
from .registration import RegistrationSettings as RegistrationSettings
from .run import (
    ArchiveSettings as ArchiveSettings,
)
from .run import (
    PairSettings as PairSettings,
)
from .run import (
    RunSettings as RunSettings,
)
from .scaling import ScalingSettings as ScalingSettings
from .scenes import SceneSettings as SceneSettings
from .secrets import NO_SECRET as NO_SECRET
from .secrets import refuse_secret as refuse_secret
from .watching import LogFormat as LogFormat
from .watching import WatchingSettings as WatchingSettings
from .words import in_words as in_words
