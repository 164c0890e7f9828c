"""What docs/serve.md says of systemd and nginx, tried as it stands there."""

import os
import re
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
from serving import MODEL, httpx, jpeg, number, serve

import lcnet

pytestmark = pytest.mark.slow
DOCS = Path(__file__).parents[2] / "docs/serve.md"
JPEG = jpeg()
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def block(language):
    return re.search(rf"```{language}\n(.*?)```", DOCS.read_text(), re.DOTALL)[1]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def put(text, old, new):
    """`text` with all of `old` replaced, which must be there."""
    assert old in text, old
    return text.replace(old, str(new))


class Proxy:
    """nginx by the documented configuration, below a folder of its own."""

    def __init__(self, folder, url):
        self.folder, self.port = folder, free_port()
        self.certificate = folder / "pictures.pem"
        names = ["-subj", "/CN=pictures.example", "-addext", "subjectAltName=DNS:pictures.example"]
        keys = ["-keyout", folder / "pictures.key", "-out", self.certificate]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *keys, *names], check=True, capture_output=True
        )
        (folder / "nginx.conf").write_text(self._whole(put(block("nginx"), "127.0.0.1:8000", url.removeprefix("http://"))))
        command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "errors")]
        subprocess.run([*command, "-t"], check=True, capture_output=True)
        self.process = subprocess.Popen(command)

    def _whole(self, documented):
        for old, new in (
            ("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"),
            ("/etc/ssl/pictures", self.folder / "pictures"),
            ("/var/log/nginx", self.folder),
        ):
            documented = put(documented, old, new)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        places = "".join(f"{kind}_temp_path {self.folder / kind};\n" for kind in kinds)
        user = "user root;\n" if os.getuid() == 0 else ""
        return f"{user}daemon off;\npid {self.folder}/pid;\nevents {{}}\nhttp {{\n{places}{documented}}}\n"

    def client(self):
        trusted = ssl.create_default_context(cafile=str(self.certificate))
        with socket.create_connection(("127.0.0.1", self.port)) as raw:
            assert trusted.wrap_socket(raw, server_hostname="pictures.example").version() in ("TLSv1.2", "TLSv1.3")
        trusted.check_hostname = False  # httpx asks for an address
        return httpx.Client(base_url=f"https://127.0.0.1:{self.port}", verify=trusted, timeout=30)

    def wait(self):
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                return self.client()
            except OSError:
                time.sleep(0.05)
        raise AssertionError((self.folder / "errors").read_text())


@pytest.fixture(scope="module")
def server():
    with serve.running(MODEL, threads=1, queue=0) as url:
        yield url


@pytest.fixture(scope="module")
def proxy(server, tmp_path_factory):
    if NGINX is None or not shutil.which("openssl"):
        pytest.skip("nginx or openssl is not installed")
    found = Proxy(tmp_path_factory.mktemp("nginx"), server)
    try:
        with found.wait() as found.through:
            yield found
    finally:
        found.process.terminate()
        assert found.process.wait(timeout=10) == 0


def test_nginx_passes_everything_through(proxy):
    answer = proxy.through.post("/v1/classify", content=JPEG)
    assert answer.json()["results"] == [lcnet.load(MODEL, threads=1).classify(JPEG)[0].to_dict()]
    assert len(answer.headers["x-request-id"]) == 32 and "server-timing" in answer.headers
    assert "script-src 'self'" in proxy.through.get("/").headers["content-security-policy"]
    npz = proxy.through.post("/v1/features", content=JPEG)  # more than nginx's buffers hold
    assert npz.status_code == 200 and len(npz.content) == int(npz.headers["content-length"]) > 200_000


def test_a_clients_id_is_kept_and_in_nginxs_log(proxy):
    assert proxy.through.get("/v1/models", headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert proxy.through.get("/v1/models", headers={"x-request-id": "not mine"}).headers["x-request-id"].isalnum()
    until = time.monotonic() + 5
    while '127.0.0.1 mine-1 "GET /v1/models" 200' not in (proxy.folder / "lcnet.log").read_text():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_errors_are_the_servers_own_and_what_is_too_large_does_not_reach_it(proxy, server):
    answer = proxy.through.post("/v1/classify", content=b"no picture", headers={"x-request-id": "x"})
    assert answer.status_code == 415 and answer.json()["error"]["request_id"] == "x"
    before = httpx.get(f"{server}/metrics").text.count('status="413"')
    assert proxy.through.post("/v1/classify", content=bytes(11_000_000)).status_code == 413
    assert httpx.get(f"{server}/metrics").text.count('status="413"') == before
    own = proxy.through.post("/v1/classify", content=bytes(10_200_000))  # within nginx's 10 MiB
    assert own.status_code == 413 and own.json()["error"]["code"] == "too_large"


def test_a_slow_client_takes_no_place(proxy, server):
    context = ssl.create_default_context(cafile=str(proxy.certificate))
    raw = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
    with context.wrap_socket(raw, server_hostname="pictures.example") as slow:
        slow.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(JPEG) + JPEG[:100])
        time.sleep(0.1)
        assert number(server, "lcnet_in_flight ") == 0
        assert proxy.through.post("/v1/classify", content=JPEG).status_code == 200  # there is one place
        slow.sendall(JPEG[100:])
        assert slow.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_the_unit_is_one(tmp_path):
    unit = put(put(block("ini"), "/opt/lcnet/bin/lcnet", shutil.which("true")), "/bin/kill", shutil.which("kill"))
    (tmp_path / "lcnet.service").write_text(unit)
    done = subprocess.run(["systemd-analyze", "verify", tmp_path / "lcnet.service"], capture_output=True, text=True)
    assert done.returncode == 0 and "lcnet.service" not in done.stderr, done.stderr


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP")
def test_what_the_unit_runs_starts_reloads_and_ends():
    unit = dict(line.split("=", 1) for line in block("ini").splitlines() if "=" in line)
    command = shlex.split(unit["ExecStart"])
    assert command[0].endswith("/lcnet") and unit["ExecReload"] == "/bin/kill -HUP $MAINPID"
    command = [MODEL if part.endswith(".safetensors") else part for part in command[1:]]
    name, value = unit["Environment"].split("=")
    process = subprocess.Popen(
        [sys.executable, "-m", "lcnet", *command, "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {name: value},
    )
    url = re.search(r"on (http://\S+)", process.stderr.readline())[1]
    process.send_signal(signal.SIGHUP)
    assert "read again" in process.stderr.readline()
    assert httpx.post(f"{url}/v1/classify", content=JPEG).status_code == 200
    process.terminate()
    time.sleep(0.5)
    assert httpx.get(f"{url}/health/ready").status_code == 503  # it waits for --drain-delay
    assert process.wait(timeout=int(unit["TimeoutStopSec"])) == 0
    process.communicate()
