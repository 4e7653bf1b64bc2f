"""What may fail on a devnet.

OpenMinedError
└── DevnetError
├── MissingProgram      anvil is not installed
├── ProcessFailed       a supervised process ended or never got ready; names its log
├── CampaignStalled     nothing moved for too long; says who is being waited for
├── SimulationFailed    a simulated campaign came to a stand
└── ScenarioError       a scenario that cannot be run as asked
"""

from __future__ import annotations

from pathlib import Path

from openmined.protocol import OpenMinedError

_TAIL_LINES = 12


class DevnetError(OpenMinedError):
    """Something of the network on this machine failed."""


class MissingProgram(DevnetError):
    """A program the devnet runs is not installed."""


class CampaignStalled(DevnetError):
    """A campaign made no progress before its deadline."""


class SimulationFailed(DevnetError):
    """A simulated campaign came to a stand, or a mine's transaction was refused."""


class ScenarioError(DevnetError):
    """The scenario cannot be run with these settings."""


class ProcessFailed(DevnetError):
    """A supervised process failed; the message ends with the last lines of its log."""

    def __init__(self, name: str, what: str, log: Path) -> None:
        self.name = name
        self.log = log
        super().__init__(f"{name} {what}; its log is {log}{_tail(log)}")


def _tail(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
    except OSError:
        return ""
    return "".join(f"\n  | {line[:300]}" for line in lines)
