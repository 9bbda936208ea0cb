"""A server of S3 is away for 30 seconds in mid-run: the run waits, and ends whole.

Needs pip install 'ibsd[cluster]' 'moto[s3]' flask flask-cors.

    python benchmarks/cluster_s3.py PHOTOGRAPHS --photographs 60 --seconds 30

The server is moto's, on loopback, in this process. PHOTOGRAPHS is a folder; crops of them are
upscaled by the command `ibsd upscale s3://bucket/in -o s3://bucket/out --cluster local`, and the
server goes away when a third of the results are there.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

import fsspec
import pyarrow.parquet as parquet
from cluster_kill import upscale, write_crops
from moto.server import ThreadedMotoServer

SECRET = "wJalrXUtnFEMIbPxRfiCYEXAMPLEKEY"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--photographs", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=30)
    given = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": f"ID{SECRET}",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    s3 = fsspec.filesystem("s3", use_listings_cache=False)
    s3.mkdir("bucket")

    def results() -> list[str]:
        return [name for name in s3.find("bucket/out") if name.endswith(".png")]

    with tempfile.TemporaryDirectory() as folder:
        crops, one = Path(folder) / "in", Path(folder) / "one"
        write_crops(given.source, crops, given.photographs)
        assert upscale(crops, one).wait() == 0
        s3.put(f"{crops}/", "bucket/in/", recursive=True)
        started = time.monotonic()
        run = upscale("s3://bucket/in", "s3://bucket/out", "--cluster", "local")
        while len(results()) < given.photographs // 3:
            assert run.poll() is None, "it ended before the server went away"
            time.sleep(0.05)
        before = len(results())
        server.stop()
        time.sleep(given.seconds)
        alive = run.poll() is None
        server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
        server.start()
        back = time.monotonic()
        after = len(results())
        code = run.wait()
        rows = [
            row
            for name in s3.find("bucket/out/.manifest")
            if name.endswith(".parquet")
            for row in parquet.read_table(io.BytesIO(s3.cat_file(name))).to_pylist()
        ]
        print(
            json.dumps(
                {
                    "photographs": given.photographs,
                    "server_away_after": before,
                    "alive_when_it_came_back": alive,
                    "results_when_it_came_back": after,
                    "seconds_from_there_to_the_end": round(time.monotonic() - back, 1),
                    "seconds": round(time.monotonic() - started, 1),
                    "exit_code": code,
                    "rows": len(rows),
                    "states": dict(Counter(row["state"] for row in rows)),
                    "files_with_two_rows": len(rows) - len({row["target"] for row in rows}),
                    "different": sum(
                        s3.cat_file(f"bucket/out/{path.name}") != path.read_bytes()
                        for path in one.iterdir()
                    ),
                    "results": len(results()),
                    "secret_in_the_manifest": any(
                        SECRET.encode() in s3.cat_file(name)
                        for name in s3.find("bucket/out/.manifest")
                    ),
                }
            )
        )
    server.stop()


if __name__ == "__main__":
    main()
