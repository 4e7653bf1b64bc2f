"""Sessions of the owner: opened by the passphrase, closed by logging out or by time."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable

from openmined.mine._errors import MineError, WrongPassphrase

COOKIE = "openmined_mine_session"
MAX_SESSIONS = 16
MAX_FAILURES = 5
FAILURE_WINDOW_S = 300.0


class TooManyAttempts(MineError):
    """Wrong passphrases came too fast.

    Attributes:
        retry_s: seconds until the next one is looked at.
    """

    def __init__(self, retry_s: float) -> None:
        self.retry_s = retry_s
        super().__init__(
            f"{MAX_FAILURES} wrong passphrases in {FAILURE_WINDOW_S:.0f} s: "
            f"wait {retry_s:.0f} s before the next"
        )


class Sessions:
    """Open sessions, in memory only: a restart of the mine ends them all.

    Args:
        check: raises `WrongPassphrase` if a passphrase does not open the mine. It is slow on
            purpose, and never runs twice at once.
        lifetime_s: seconds without a request after which a session ends.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        check: Callable[[str], None],
        lifetime_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._check, self._lifetime_s, self._clock = check, lifetime_s, clock
        self._open: dict[bytes, float] = {}
        self._failures: list[float] = []
        self._lock = threading.Lock()

    def log_in(self, passphrase: str) -> str:
        """Open a session and return its token.

        Raises:
            TooManyAttempts: after a few wrong passphrases.
            WrongPassphrase: if this is one.
        """
        with self._lock:
            now = self._clock()
            self._failures = [at for at in self._failures if at > now - FAILURE_WINDOW_S]
            if len(self._failures) >= MAX_FAILURES:
                raise TooManyAttempts(self._failures[0] + FAILURE_WINDOW_S - now)
            try:
                self._check(passphrase)
            except WrongPassphrase:
                self._failures.append(now)
                raise
            self._failures.clear()
            self._forget_old()
            if len(self._open) >= MAX_SESSIONS:
                self._open.pop(min(self._open, key=lambda key: self._open[key]))
            token = secrets.token_urlsafe(32)
            self._open[_key(token)] = self._clock() + self._lifetime_s
            return token

    def is_open(self, token: str | None) -> bool:
        """Tell whether a token is of an open session, and keep the session open."""
        if not token or len(token) > 100:
            return False
        with self._lock:
            self._forget_old()
            key = _key(token)
            if key not in self._open:
                return False
            self._open[key] = self._clock() + self._lifetime_s
            return True

    def log_out(self, token: str | None) -> None:
        """End a session: its token is worth nothing from now on."""
        if token:
            with self._lock:
                self._open.pop(_key(token), None)

    def _forget_old(self) -> None:
        now = self._clock()
        self._open = {key: until for key, until in self._open.items() if until > now}


def _key(token: str) -> bytes:
    # Looking up a hash takes no time that depends on the token, and memory holds no token.
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
