"""Indexing a million events, and answering fifty clients at once.

    python benchmarks/stats.py                     # 1,000,000 events into SQLite
    python benchmarks/stats.py --events 100000 --database postgresql://user@host/name

Needs `wrk` for the second part. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from stats_history import SONAR, write_history

from openmined.stats import Chain, Indexer, Rpc, open_database
from openmined.stats._indexer import refold

HERE = Path(__file__).parent
SERVE = """
import sys
from openmined.stats import Feed, Service, create_app, open_database
from openmined.stats._serve import listen_on, make_server
database = open_database(sys.argv[1])
socket = listen_on("127.0.0.1", 0)
print(socket.getsockname()[1], flush=True)
make_server(create_app(Service(database, Feed(database)))).run(sockets=[socket])
"""
# Every request another one: pages, filters and orders that no cache has seen.
VARIED = """
local kinds = {"sort=newest", "sort=bounty", "sort=gradients", "sort=activity", "sort=deadline"}
local n = 0
request = function()
  n = n + 1
  local kind = kinds[n %% #kinds + 1]
  return wrk.format("GET", string.format("/v1/campaigns?limit=%d&min_bounty=%%d&%%s", n, kind))
end
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--database", help="Default: a fresh SQLite file.")
    parser.add_argument("--seconds", type=int, default=15, help="Of each load test.")
    parser.add_argument("--requests", type=int, default=0, help="Soak: so many requests.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="openmined-bench-") as folder:
        url = options.database or f"sqlite:///{folder}/stats.sqlite3"
        figures = index(Path(folder), url, options.events)
        print(json.dumps(figures), file=sys.stderr)
        if shutil.which("wrk"):
            figures["api"] = load(url, options.seconds, options.requests)
        print(json.dumps(figures, indent=1))


def index(folder: Path, url: str, wanted: int) -> dict[str, Any]:
    history = folder / "history.jsonl"
    events = write_history(history, wanted)
    node = subprocess.Popen(
        [sys.executable, HERE / "stats_history.py", "serve", history],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert node.stdout is not None
    chain = Chain(Rpc(node.stdout.readline().strip()), SONAR)
    database = open_database(url, migrate=True)
    indexer = Indexer(database, chain, from_block=1)
    indexer.prepare()
    began, worked = time.perf_counter(), time.process_time()
    progress = indexer.catch_up()
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    node.kill()
    node.wait()
    figures = {
        "events": events,
        "blocks": progress.block_number,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "events_per_second": round(events / seconds),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "database_mb": round(database.size_bytes() / 1e6),
        "bytes_per_event": round(database.size_bytes() / events),
        "load_average": os.getloadavg()[0],
    }
    history.unlink()
    began = time.perf_counter()
    with database.writing() as connection:
        refold(connection)
    figures["rebuild_events_per_second"] = round(events / (time.perf_counter() - began))
    chain.close()
    database.close()
    return figures


def load(url: str, seconds: int, requests: int) -> dict[str, Any]:
    server = subprocess.Popen([sys.executable, "-c", SERVE, url], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    base = f"http://127.0.0.1:{int(server.stdout.readline())}"
    process = psutil.Process(server.pid)
    figures: dict[str, Any] = {}
    try:
        for name, path in (
            ("campaigns", "/v1/campaigns"),
            ("mines", "/v1/mines?sort=earned"),
            ("timeline", "/v1/campaigns/1/timeline?limit=200"),
        ):
            figures[name] = wrk(base + path, seconds)
        for limit in (1, 50):
            with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
                script.write(VARIED % limit)
                script.flush()
                figures[f"uncached lists of {limit}"] = wrk(base, seconds, "-s", script.name)
        if requests:
            figures["soak"] = soak(base, process, requests)
    finally:
        server.terminate()
        server.wait()
    return figures


def wrk(url: str, seconds: int, *more: str) -> dict[str, Any]:
    command = ["wrk", "-t1", "-c50", f"-d{seconds}s", "--latency", *more, url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = dict(re.findall(r"^\s+(50%|99%)\s+(\S+)\s*$", text, re.M))
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    assert rate is not None
    return {
        "requests_per_second": round(float(rate[1])),
        "p50": found["50%"],
        "p99": found["99%"],
        "failed": int(failed[1]) if failed else 0,
    }


def soak(base: str, process: psutil.Process, requests: int) -> dict[str, Any]:
    done, sizes = 0, [process.memory_info().rss]
    while done < requests:
        done += wrk(base + "/v1/campaigns?limit=5", 20)["requests_per_second"] * 20
        sizes.append(process.memory_info().rss)
    return {"requests": done, "memory_mb": [round(size / 1e6, 1) for size in sizes]}


if __name__ == "__main__":
    main()
