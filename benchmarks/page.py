"""Memory and time of the web page: 200 requests in a row, then six rounds of 8 clients at once.

    python benchmarks/page.py RUN [--requests 200] [--clients 8]

RUN: folder of a run, or weights. Prints the memory of the page's process along the way; exit code 1 if it grows by more than a tenth
after the first 40 requests, or after the first round.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from gradio_client import Client, handle_file
from PIL import Image

SETTLED = 40
"""Requests after which memory is expected to stay."""
ROUNDS, PER_ROUND = 6, 8
"""Of clients at once, and the requests of each in a round."""


def resident(process: subprocess.Popen[bytes]) -> float:
    """Memory of the process that serves the page [MB]."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def client_of(address: str) -> Client:
    """A client, as soon as the page answers."""
    for _ in range(120):
        try:
            return Client(address, verbose=False)
        except Exception:  # not yet
            time.sleep(0.5)
    raise SystemExit(f"{address} does not answer")


def main() -> int:
    """The requests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--port", type=int, default=7869)
    options = parser.parse_args()
    address = f"http://127.0.0.1:{options.port}"
    server = subprocess.Popen([sys.executable, "-m", "bridgenet", "app", options.run, "--port", str(options.port)])
    try:
        return measure(server, address, options.requests, options.clients)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def measure(server: subprocess.Popen[bytes], address: str, requests: int, clients: int) -> int:
    """Ask, print what it took, and return the exit code."""
    seconds: list[float] = []
    in_row: list[float] = []
    rounds: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "picture.png"
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)).save(file)

        def ask(client: Client, count: int) -> None:
            for _ in range(count):
                started = time.perf_counter()
                client.predict([handle_file(str(file))], None, api_name="/predict")
                seconds.append(time.perf_counter() - started)

        client = client_of(address)
        for _ in range(max(1, requests // SETTLED)):
            ask(client, SETTLED)
            in_row.append(resident(server))
        print(f"in a row: {told(seconds)}; memory after each {SETTLED}: {', '.join(f'{x:.0f}' for x in in_row)} MB")
        seconds.clear()
        several = [client_of(address) for _ in range(clients)]
        for _ in range(ROUNDS):
            threads = [threading.Thread(target=ask, args=(each, PER_ROUND)) for each in several]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            rounds.append(resident(server))
        print(
            f"{clients} at once: {told(seconds)}; memory after each round: {', '.join(f'{x:.0f}' for x in rounds)} MB"
        )
    return 0 if max(in_row) <= 1.1 * in_row[0] and max(rounds) <= 1.1 * rounds[0] else 1


def told(seconds: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(seconds):.2f} s a request ({min(seconds):.2f} to {max(seconds):.2f})"


if __name__ == "__main__":
    sys.exit(main())
