"""The page without a server, put together by web/site.mjs, and a plain static host that keeps what it was asked for."""

import os
import shutil
import subprocess
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import page_models
import pytest

from lcnet.hub import locate

ROOT = Path(__file__).parents[2]
PACKAGE = Path(os.environ.get("LCNET_WEB_DIST", ROOT / "web" / "dist"))


def build(folder, *models):
    """The site in a folder; skips where something that it is made of is missing."""
    if not (PACKAGE / "index.js").is_file():
        pytest.skip(f"the npm package is not built: `make web`, or LCNET_WEB_DIST names where it is ({PACKAGE} has none)")
    if not shutil.which("node"):
        pytest.skip("node, which puts the site together, is not installed")
    command = ["node", ROOT / "web" / "site.mjs", PACKAGE, folder, *models]
    subprocess.run([str(part) for part in command], check=True, timeout=60)
    return folder


class Host(ThreadingHTTPServer):
    """Files, and no headers that a page could need. `asked`: the paths of all requests; `pause`: seconds amidst a model."""

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.asked, self.pause = [], 0.0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()

    do_POST = do_PUT = do_GET

    def copyfile(self, source, outputfile):
        if self.server.pause and self.path.endswith(".safetensors"):
            outputfile.write(source.read(1_200_000))
            outputfile.flush()
            time.sleep(self.server.pause)
        super().copyfile(source, outputfile)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return build(tmp_path_factory.mktemp("site") / "site", locate(page_models.BUNDLED).path)


@pytest.fixture
def host(site):
    server = Host(site)
    yield server
    server.shutdown()
    server.server_close()
