"""What can go wrong in the statistics service.

OpenMinedError
└── StatsError
    ├── RpcError                the node did not answer, or answered nonsense
    │   ├── RpcRefused          it answered with an error of its own
    │   ├── ChainMoved          its history changed while we were reading: read again
    │   └── HistoryGap          events are missing between two that were read
    ├── WrongChain              another chain than the index was made from
    ├── WrongContract           no Sonar, or another program, at that address
    ├── DatabaseError           the database cannot be opened or used
    │   ├── DatabaseAway        it does not answer, or its disk is full: that may pass
    │   ├── NewerDatabase       it was made by a newer version of this software
    │   └── AnotherIndexer      somebody else writes into the same index
    ├── IndexDiffers            an index that does not equal its rebuild
    ├── BadQuery                a parameter that cannot be served
    ├── NotThere                nothing of that name is in the index
    ├── Busy                    enough of that is under way already
    └── ReportRefused           a usage report that is not accepted
"""

from __future__ import annotations

from openmined.protocol import OpenMinedError


class StatsError(OpenMinedError):
    """Something failed in the statistics service."""


class RpcError(StatsError):
    """The node did not answer in time, or what it answered cannot be right."""


class RpcRefused(RpcError):
    """The node answered with an error.

    Attributes:
        code: the JSON-RPC error code, or the HTTP status.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class ChainMoved(RpcError):
    """Two answers of the node belong to different histories; reading again settles it."""


class WrongChain(StatsError):
    """The node is on another chain than the one this index was made from."""


class WrongContract(StatsError):
    """There is no Sonar contract at the address, or another index was made from another one."""


class HistoryGap(RpcError):
    """An event refers to another one that was never seen: the node left events out."""


class DatabaseError(StatsError):
    """The database cannot be opened or used."""


class DatabaseAway(DatabaseError):
    """The database did not answer, or could not write: that may pass."""


class NewerDatabase(DatabaseError):
    """The database was made by a newer version of this software."""


class AnotherIndexer(DatabaseError):
    """Another process advanced the same index meanwhile."""


class IndexDiffers(StatsError):
    """The index does not equal a rebuild of it."""


class BadQuery(StatsError):
    """A query's parameter is out of range or malformed."""


class NotThere(StatsError):
    """Nothing of that name is in the index."""


class Busy(StatsError):
    """As much of something is under way as this service takes on."""


class ReportRefused(StatsError):
    """A usage report is malformed, not signed by its mine, absurd, or too frequent.

    Attributes:
        status: the HTTP status that says so.
    """

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status
