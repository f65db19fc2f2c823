"""A connection that stays open, whose node is known: for what must not, or must, be cut."""
import http.client

from .traffic import connect
from .wait import eventually


class HeldConnection:
    """One TCP connection with HTTP requests one after the other; `node` is who answers."""

    def __init__(self, namespace, address, port, timeout=10.0):
        host = f"[{address}]" if ":" in address else address
        self._client = http.client.HTTPConnection(host, port, timeout=timeout)
        self._client.sock = connect(namespace, address, port, timeout)
        self._client.auto_open = 0  # never a second connection in the place of one that was cut
        self.node = self.ask()

    def ask(self, path="/"):
        """One more request over the same connection; OSError or HTTPException where it was cut."""
        self._client.request("GET", path)
        return self._client.getresponse().read().decode().strip()

    def begin(self, path):
        """An answer of which nothing but its head is read yet."""
        self._client.request("GET", path)
        return self._client.getresponse()

    def patience(self, seconds):
        """From now on it waits so long for each piece of an answer."""
        self._client.sock.settimeout(seconds)

    def close(self):
        self._client.close()

    __enter__ = lambda self: self

    def __exit__(self, *_):
        self.close()


def held_on(node, namespace, address, port, within=20.0):
    """A connection that went to this node."""
    def one():
        held = HeldConnection(namespace, address, port)
        if held.node == node:
            return held
        held.close()
        return None
    return eventually(one, within, f"a connection to {address} goes to {node}")
