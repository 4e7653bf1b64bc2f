"""Which adapters there are: ours from a table, others from installed packages.

A package offers an adapter through an entry point of the group `openmined.adapters`:

    [project.entry-points."openmined.adapters"]
    diary = "openmined_diary:DiaryAdapter"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata

from openmined.adapters._adapter import Adapter, AdapterFactory
from openmined.adapters._apple import AppleHealth, AppleWorkouts
from openmined.adapters._csv import CSVFiles
from openmined.adapters._database import Databases
from openmined.adapters._errors import PluginBroken, UnknownAdapter
from openmined.adapters._fitbit import Fitbit, FitbitWorkouts
from openmined.adapters._google import ChromeHistory, GoogleActivity, YouTubeHistory
from openmined.adapters._idx import IDXFiles
from openmined.adapters._images import ImageFiles
from openmined.adapters._jsonl import JSONFiles
from openmined.adapters._parquet import ParquetFiles
from openmined.adapters._rows import shown
from openmined.adapters._spotify import Spotify
from openmined.adapters._sqlite import SQLiteFiles
from openmined.adapters._strava import Strava
from openmined.adapters._x import XArchive

GROUP = "openmined.adapters"
_BUILT_IN: tuple[type[Adapter | AdapterFactory], ...] = (
    AppleHealth,
    AppleWorkouts,
    CSVFiles,
    ChromeHistory,
    Databases,
    Fitbit,
    FitbitWorkouts,
    GoogleActivity,
    IDXFiles,
    ImageFiles,
    JSONFiles,
    ParquetFiles,
    SQLiteFiles,
    Spotify,
    Strava,
    XArchive,
    YouTubeHistory,
)


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """An installed adapter that cannot be used, and why."""

    name: str
    package: str
    reason: str


@dataclass(frozen=True, slots=True)
class Adapters:
    """What is installed: adapters by name, and plug-ins that did not load."""

    by_name: Mapping[str, Adapter | AdapterFactory]
    broken: tuple[BrokenPlugin, ...]

    def named(self, name: str) -> Adapter | AdapterFactory:
        """Return the adapter of that name.

        Raises:
            PluginBroken: if it is installed and does not load.
            UnknownAdapter: if there is none.
        """
        if name in self.by_name:
            return self.by_name[name]
        for plugin in self.broken:
            if plugin.name == name:
                raise PluginBroken(f"the adapter {name!r} of {plugin.package}: {plugin.reason}")
        known = ", ".join(sorted(self.by_name))
        raise UnknownAdapter(f"no adapter is named {shown(name)}; there are {known}")


@cache
def built_in_adapters() -> Mapping[str, Adapter | AdapterFactory]:
    """Return our own adapters by name."""
    return {adapter.name: adapter for adapter in (kind() for kind in _BUILT_IN)}


def load_adapters() -> Adapters:
    """Return our own adapters and those of installed packages; a broken one stops nobody."""
    by_name = dict(built_in_adapters())
    broken: list[BrokenPlugin] = []
    for point in metadata.entry_points(group=GROUP):
        package = point.dist.name if point.dist else "an unknown package"
        try:
            by_name[point.name] = _load(point, by_name)
        except Exception as error:  # noqa: BLE001 (a stranger's code may raise anything)
            reason = f"{type(error).__name__}: {shown(str(error), 200)}"
            broken.append(BrokenPlugin(point.name, package, reason))
    return Adapters(by_name, tuple(broken))


def _load(point: metadata.EntryPoint, taken: Mapping[str, object]) -> Adapter | AdapterFactory:
    if point.name in taken:
        raise ValueError(f"the name {point.name!r} is taken by another adapter")
    adapter = point.load()()
    if not isinstance(adapter, Adapter | AdapterFactory):
        raise TypeError("neither an Adapter nor an AdapterFactory: see docs/adapters.md")
    if adapter.name != point.name:
        raise ValueError(f"it calls itself {adapter.name!r}, its entry point {point.name!r}")
    return adapter
