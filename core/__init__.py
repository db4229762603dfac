"""The words all rooms speak."""

from core.installed import require

require()
