"""The sorts of value that the configuration knows: how each is checked, written and described."""

from .kind import BadValue, Kind, write_string
from .numbers import MAX_DURATION, Duration, Integer, Processes, Size
from .places import DatabaseUrl, Directory, Endpoints, Location, NurlText, Origins
from .words import Base32, Boolean, Choice, Name, Texts

__all__ = [
    "MAX_DURATION",
    "BadValue",
    "Base32",
    "Boolean",
    "Choice",
    "DatabaseUrl",
    "Directory",
    "Duration",
    "Endpoints",
    "Integer",
    "Kind",
    "Location",
    "Name",
    "NurlText",
    "Origins",
    "Processes",
    "Size",
    "Texts",
    "write_string",
]
