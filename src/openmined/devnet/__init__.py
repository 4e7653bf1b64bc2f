"""A whole network on one machine, and the demo."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from openmined.devnet._errors import (
    CampaignStalled,
    DevnetError,
    MissingProgram,
    ProcessFailed,
    ScenarioError,
    SimulationFailed,
)

if TYPE_CHECKING:
    from openmined.devnet._cli import app

__all__ = [
    "CampaignStalled",
    "DevnetError",
    "MissingProgram",
    "ProcessFailed",
    "ScenarioError",
    "SimulationFailed",
    "app",
]


def __getattr__(name: str) -> Any:
    if name == "app":
        return import_module("openmined.devnet._cli").app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
