from .file_system import StorageOptions as StorageOptions
from .file_system import options_now as options_now
from .retry import RetryPolicy as RetryPolicy
from .source import open_source as open_source
from .source import source_options as source_options
from .store import RETRY_SECONDS as RETRY_SECONDS
from .store import Storage as Storage
from .version import object_version as object_version
