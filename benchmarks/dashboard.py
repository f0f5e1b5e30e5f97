"""The Grafana dashboard's panels, drawn from the metrics of a real server under a small load.

    python -m benchmarks.dashboard [--minutes 4] [--plot dashboard.svg]

Starts a server with the built-in voice, clients that send new and repeated sentences over Wyoming and HTTP,
and Prometheus (apt-get install prometheus), which evaluates the dashboard's own queries.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks import plot
from benchmarks.cache import PHRASES
from benchmarks.servers import Program, free_port, running
from benchmarks.speech_requests import HOST, speak, unique

DASHBOARD = Path(__file__).resolve().parent.parent / "docs/grafana-dashboard.json"
PANELS = 8
"""Panels that are drawn, the first of the dashboard's time series."""
SCRAPE = 2
"""Seconds between two samples."""
WINDOW = 20
"""Seconds that a rate is computed over."""
PATIENCE = 30.0


@asynccontextmanager
async def prometheus(http_port: int) -> AsyncIterator[str]:
    """Run Prometheus, scraping the server; yield its URL."""
    program = shutil.which("prometheus")
    if program is None:
        sys.exit("prometheus is not installed; on Debian: apt-get install prometheus")
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        scrape = {
            "job_name": "speech",
            "scrape_interval": f"{SCRAPE}s",
            "static_configs": [{"targets": [f"{HOST}:{http_port}"]}],
        }
        config = Path(directory, "prometheus.yaml")
        config.write_text(json.dumps({"scrape_configs": [scrape]}))
        process = await asyncio.create_subprocess_exec(
            *(program, f"--config.file={config}", f"--storage.tsdb.path={directory}/data"),
            f"--web.listen-address={HOST}:{port}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield f"http://{HOST}:{port}"
        finally:
            process.terminate()
            await process.wait()


def query(url: str, expression: str, begin: float, end: float) -> list[dict[str, Any]]:
    """Return the series of a dashboard's expression: labels in ``metric``, samples in ``values``."""
    variables = {"$instance": ".*", "$__rate_interval": f"{WINDOW}s", "$__range": f"{end - begin:.0f}s"}
    for name, value in variables.items():
        expression = expression.replace(name, value)
    arguments = urllib.parse.urlencode({"query": expression, "start": begin, "end": end, "step": SCRAPE})
    with urllib.request.urlopen(f"{url}/api/v1/query_range?{arguments}", timeout=PATIENCE) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return found


def panels(url: str, begin: float, end: float) -> list[plot.Panel]:
    """Return the first panels of the dashboard that have data."""
    found: list[plot.Panel] = []
    for each in json.loads(DASHBOARD.read_text())["panels"]:
        lines: dict[str, plot.Line] = {}
        for target in each.get("targets", ()) if each["type"] == "timeseries" else ():
            for series in query(url, target["expr"], begin, end):
                name = target["legendFormat"]
                for label, value in series["metric"].items():
                    name = name.replace(f"{{{{{label}}}}}", value)
                points = [(at - begin, float(value)) for at, value in series["values"] if value != "NaN"]
                if points:
                    lines[name] = points
        if lines:
            found.append(plot.Panel(each["title"], lines))
        if len(found) == PANELS:
            break
    return found


async def request_until(end: float, port: int, http_port: int, number: int) -> None:
    """Send one request after another, with pauses: most of them repeated, over Wyoming or HTTP."""
    chance = random.Random(number)
    while time.time() < end:
        sentence = chance.choice(PHRASES)
        sentences = [sentence] if chance.random() < 0.6 else unique([sentence])
        if number % 2:
            await speak(port, sentences, streamed=False)
        else:
            await asyncio.to_thread(speak_http, http_port, sentences[0])
        await asyncio.sleep(chance.uniform(0.1, 1.5))


def speak_http(port: int, text: str) -> None:
    """Request one sentence over HTTP."""
    body = json.dumps({"input": text, "response_format": "wav"}).encode()
    request = urllib.request.Request(
        f"http://{HOST}:{port}/v1/audio/speech", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        answer.read()


async def measure(minutes: float, clients: int) -> list[plot.Panel]:
    """Run the server, the clients and Prometheus; return the panels."""
    http_port = free_port()
    with tempfile.TemporaryDirectory() as data:
        options = ("--uri", f"tcp://{HOST}:{{port}}", "--http-port", str(http_port), "--data-dir", data)
        server = Program(
            "builtin", (sys.executable, "-m", "wyoming_qwen3tts", "--engine", "builtin", *options)
        )
        async with running(server) as started:
            await started.ready()
            async with prometheus(http_port) as url:
                begin = time.time()
                end = begin + 60 * minutes
                async with asyncio.TaskGroup() as tasks:
                    for number in range(clients):
                        tasks.create_task(request_until(end, started.port, http_port, number))
                return await asyncio.to_thread(panels, url, begin + WINDOW, end)


def main() -> None:
    """Measure and draw."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument(
        "--minutes", type=float, default=4.0, help="time under load (default: %(default)g)"
    )
    arguments.add_argument("--clients", type=int, default=8, help="clients (default: %(default)s)")
    arguments.add_argument("--plot", type=Path, default=Path("dashboard.svg"), metavar="FILE")
    options = arguments.parse_args()
    found = asyncio.run(measure(options.minutes, options.clients))
    plot.draw(options.plot, found, "seconds", columns=2)
    print(f"{options.plot}: {', '.join(panel.title for panel in found)}")


if __name__ == "__main__":
    main()
