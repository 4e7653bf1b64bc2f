"""Measurements in Prometheus' text format (0.0.4), written by hand: four kinds of lines."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


@dataclass
class Metrics:
    """What this process has done so far."""

    cache_hits: int = 0
    cache_misses: int = 0
    head: int | None = None
    indexed_events: int = 0
    rolled_back_events: int = 0
    rpc_requests: Mapping[str, int] = field(default_factory=dict)
    rpc_failures: Mapping[str, int] = field(default_factory=dict)
    manifests: Counter[str] = field(default_factory=Counter)
    reports: Counter[str] = field(default_factory=Counter)
    _requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    _durations: dict[str, list[int]] = field(default_factory=dict)
    _seconds: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        with self._lock:
            self._requests[route, status] += 1
            counts = self._durations.setdefault(route, [0] * (len(BUCKETS_S) + 1))
            counts[bisect_left(BUCKETS_S, seconds)] += 1
            self._seconds[route] += seconds  # type: ignore[assignment]

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """Write everything; `gauges` are (help, value) by name, read from the index."""
        lines: list[str] = []
        for name, (about, value) in gauges.items():
            lines += [*_head(name, "gauge", about), f"{name} {value:g}"]
        if self.head is not None:
            name = "openmined_stats_chain_head"
            lines += [*_head(name, "gauge", "Newest block of the chain."), f"{name} {self.head}"]
        with self._lock:
            lines += self._counters() + self._request_lines()
        return "\n".join(lines) + "\n"

    def _counters(self) -> list[str]:
        lines = _counter("cache_hits", "Answers from the cache.", {"": self.cache_hits})
        lines += _counter("cache_misses", "Answers computed.", {"": self.cache_misses})
        lines += _counter(
            "indexed_events", "Events indexed by this process.", {"": self.indexed_events}
        )
        lines += _counter("rolled_back_events", "Events taken back.", {"": self.rolled_back_events})
        for name, about, label, counts in (
            ("rpc_requests", "Calls to the node.", "method", self.rpc_requests),
            ("rpc_failures", "Failed calls to the node.", "method", self.rpc_failures),
            ("manifests", "Manifests asked of the store.", "outcome", self.manifests),
            ("reports", "Usage reports received.", "outcome", self.reports),
        ):
            labelled = {f'{{{label}="{key}"}}': value for key, value in sorted(counts.items())}
            lines += _counter(name, about, labelled)
        return lines

    def _request_lines(self) -> list[str]:
        requests = {
            f'{{route="{route}",status="{status}"}}': count
            for (route, status), count in sorted(self._requests.items())
        }
        lines = _counter("http_requests", "Requests served.", requests)
        name = "openmined_stats_http_duration_seconds"
        lines += _head(name, "histogram", "How long requests took.")
        for route, counts in sorted(self._durations.items()):
            total = 0
            for bound, count in zip((*BUCKETS_S, float("inf")), counts, strict=True):
                total += count
                upper = "+Inf" if bound == float("inf") else f"{bound:g}"
                lines.append(f'{name}_bucket{{route="{route}",le="{upper}"}} {total}')
            lines.append(f'{name}_sum{{route="{route}"}} {float(self._seconds[route]):.6f}')
            lines.append(f'{name}_count{{route="{route}"}} {total}')
        return lines


def _head(name: str, kind: str, about: str) -> list[str]:
    return [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]


def _counter(name: str, about: str, values: Mapping[str, int]) -> list[str]:
    full = f"openmined_stats_{name}_total"
    return _head(full, "counter", about) + _samples(full, values.items())


def _samples(name: str, values: Iterable[tuple[str, int]]) -> list[str]:
    return [f"{name}{labels} {value}" for labels, value in values]
