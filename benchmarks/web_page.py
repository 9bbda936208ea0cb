"""The page of `ibsd export --format web` in Chromium beside `ibsd upscale` on OpenVINO: one
photograph, in turn, so that other work on the machine meets both.

    python benchmarks/web_page.py -o benchmarks/results/web-page.json

`processor` is the time that all processes of the browser, or the command, computed for the
photograph; `wall` is what passed, with the machine's other work. A main-thread task is Chromium's
RunTask of the page's renderer; its processor time is what it takes on a quiet machine. Bytes are
those that the server sends at the first visit.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from first_photograph import timed
from PIL import Image
from playwright.sync_api import sync_playwright

from ibsd.commands.run_record import versions
from ibsd.comparison.machine import machine_facts
from ibsd.data.samples import sample
from ibsd.export.web import shipped_site
from ibsd.images.rgb import read_rgb
from ibsd.inference.parity import psnr_db
from ibsd.system import write_whole

READY = "() => document.querySelector('#state').textContent.startsWith('Ready')"
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


class Handler(http.server.SimpleHTTPRequestHandler):
    sent = 0

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def copyfile(self, source: Any, outputfile: Any) -> None:
        content = source.read()
        Handler.sent += len(content)
        outputfile.write(content)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480))
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--weights", default="imdn-x4")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Image.fromarray(sample("coffee")).resize(tuple(options.size)).save(folder / "photo.png")
        shipped_site(options.weights, folder / "site", force=False)
        handler = functools.partial(Handler, directory=name)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            address = f"http://127.0.0.1:{server.server_port}/site/"
            rounds = [round_of(folder, address, options.weights) for _ in range(options.repeats)]
            server.shutdown()
    result = {
        "weights": options.weights,
        "size": options.size,
        "rounds": rounds,
        "page over ibsd upscale, processor time": round(
            float(
                np.median(
                    [
                        taken["page"]["processor"] / taken["ibsd upscale"]["processor"]
                        for taken in rounds
                    ]
                )
            ),
            2,
        ),
        "machine": machine_facts(torch.device("cpu")),
        "versions": versions(),
    }
    write_whole(options.output, json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["rounds"], indent=1))


def round_of(folder: Path, address: str, weights: str) -> dict[str, Any]:
    command = timed(folder, ["--weights", weights], "png")
    Handler.sent = 0
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page()
        tab.set_default_timeout(3_000_000)
        browser.start_tracing(page=tab, categories=["toplevel", "devtools.timeline"])
        tab.goto(address)
        tab.wait_for_function(READY)
        paint = tab.evaluate(PAINT)
        sent = Handler.sent
        before, start = processor_seconds(), time.perf_counter()
        tab.set_input_files("#files", folder / "photo.png")
        tab.wait_for_selector(".job.done")
        page = {
            "wall": time.perf_counter() - start,
            "processor": processor_seconds() - before,
            "threads": tab.evaluate("document.querySelector('#state').textContent"),
        }
        tab.click(".open")
        tab.wait_for_timeout(1000)
        with tab.expect_download() as download:
            tab.click(".download")
        download.value.save_as(folder / "page.png")
        tasks = main_thread_tasks(json.loads(browser.stop_tracing()))
        browser.close()
    expected = read_rgb(folder / "out.png") / 255
    return {
        "ibsd upscale": command,
        "page": page,
        "first paint, ms": paint,
        "bytes at the first visit": sent,
        "longest task of the main thread, ms": tasks,
        "psnr to ibsd upscale": float(psnr_db(read_rgb(folder / "page.png") / 255, expected)),
    }


def processor_seconds() -> float:
    """Of this process's descendants, those that ended included."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
            ticks[int(entry.name)] = sum(map(int, fields[11:15]))

    def ours(process: int) -> bool:
        while process in parents and process != os.getpid():
            process = parents[process]
        return process == os.getpid()

    total = sum(ticks[process] for process in ticks if process != os.getpid() and ours(process))
    return total / os.sysconf("SC_CLK_TCK")


def main_thread_tasks(trace: dict[str, Any]) -> dict[str, float]:
    events = trace["traceEvents"]
    pages = {  # Chromium's own window has a renderer too, of another name
        event["pid"]
        for event in events
        if event["name"] == "process_name" and event["args"]["name"] == "Renderer"
    }
    threads = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name"
        and event["args"]["name"] == "CrRendererMain"
        and event["pid"] in pages
    }
    tasks = [
        event
        for event in events
        if event["name"].endswith("RunTask") and (event["pid"], event["tid"]) in threads
    ]
    return {
        "processor": max(event.get("tdur", 0) for event in tasks) / 1000,
        "wall": max(event.get("dur", 0) for event in tasks) / 1000,
    }


if __name__ == "__main__":
    main()
