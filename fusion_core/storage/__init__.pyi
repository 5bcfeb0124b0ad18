from .retry import RetryPolicy as RetryPolicy
from .store import RETRY_SECONDS as RETRY_SECONDS
from .store import Storage as Storage
from .stored_file import StoredFile as StoredFile
from .version import object_version as object_version
