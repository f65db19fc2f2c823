"""What runs on a node: nginx, echo servers and iperf3, each on the NodePort that Kubernetes would have given it."""
import pathlib
import random

from .process import Process
from .traffic import connect, fetch

HTTP = 30080
UDP_ECHO = 30053
IPERF = 30201
TCP_ECHO = 30202

BIG_FILE_BYTES = 10 * 1000 * 1000

NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000;
  client_max_body_size 64m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  default_type text/plain;
  server {{
    listen 0.0.0.0:{port} backlog=4096;
    listen [::]:{port} backlog=4096;
    root {folder}/www;
    location = / {{ return 200 "{name}\\n"; }}
    location = /source {{ return 200 "{name} $remote_addr $remote_port\\n"; }}
    location /big {{ }}
    location /upload/ {{ dav_methods PUT; }}
  }}
}}
"""


class NodeServers:
    def __init__(self, name, namespace, folder, outlive=False):
        self.name = name
        self.namespace = namespace
        self.folder = pathlib.Path(folder)
        self.www = self.folder / "www"
        self.outlive = outlive
        self.processes = []

    def start(self):
        (self.www / "upload").mkdir(parents=True, exist_ok=True)
        # The same on each node, and different in each byte range, so that a byte that moved is found.
        (self.www / "big").write_bytes(random.Random(1).randbytes(BIG_FILE_BYTES))
        config = self.folder / "nginx.conf"
        # nginx started by root gives up its rights; here it must write uploads into its folder.
        config.write_text("user root;\n" + NGINX.format(folder=self.folder, name=self.name, port=HTTP))
        tool = pathlib.Path(__file__).parent / "tools" / "echo_server.py"
        self._run("nginx", "nginx", "-c", config, "-e", "stderr")
        self._run("echo", "/usr/bin/python3", tool, self.name, UDP_ECHO, TCP_ECHO)
        self._run("iperf3", "iperf3", "-s", "-p", IPERF, "--forceflush")
        return self

    def wait(self):
        web, echo, iperf = self.processes
        web.wait_until(lambda: fetch(self.namespace, "127.0.0.1", HTTP).text.strip() == self.name)
        echo.wait_until(lambda: not connect(self.namespace, "127.0.0.1", TCP_ECHO).close())
        iperf.wait_until(lambda: "Server listening" in iperf.output())

    def _run(self, what, *argv):
        self.processes.append(Process(f"{self.name}-{what}", argv, self.folder, self.namespace, self.outlive))

    def stop(self):
        for process in self.processes:
            process.kill()
