"""The lab with health checks: quick ones, and a server on each node that answers them. For test_health*.py.

`checked(lab, ...)` starts the control plane with these settings, gives each node a healthCheckPort and a server that answers it, and puts
everything back at its end.
"""
import contextlib

from lab import HealthServer, eventually, fetch

PORT = 10256  # kube-proxy's healthz
NODES = ("node1", "node2", "node3")
# Short, and yet an answer that a busy machine delays by a third of a second is none that failed.
QUICK = {"interval_ms": 450, "timeout_ms": 400, "unhealthy_after": 2, "healthy_after": 1, "all_failing": '"all"'}
SHIPPED = {"interval_ms": 2000, "timeout_ms": 1000, "unhealthy_after": 2, "healthy_after": 1, "all_failing": '"all"'}


def node_object(lab, number, **spec):
    return {"metadata": {"name": f"node{number}"}, "spec": {"addresses": list(lab.site.node(number)), **spec}}


def restart_controlplane(appliance, kill=False):
    appliance.controlplane.kill() if kill else appliance.controlplane.stop()
    appliance.start_controlplane()
    appliance.wait_ready()


@contextlib.contextmanager
def checked(lab, **settings):
    """Yields the nodes' servers by name, once each node was found well."""
    appliance = lab.appliance
    servers = {name: HealthServer(namespace, PORT) for name, namespace in zip(NODES, lab.topology.nodes)}
    try:
        for server in servers.values():
            server.start()
        appliance.write_config(**{**QUICK, **settings})
        restart_controlplane(appliance)
        for number in (1, 2, 3):
            appliance.put(f"/v1/nodes/node{number}", node_object(lab, number, healthCheckPort=PORT))
        for name in NODES:
            wait_verdict(lab, name, True, "Ok")
        yield servers
    finally:
        for server in servers.values():
            server.stop()
        if not appliance.controlplane.running:
            appliance.start_controlplane()
            appliance.wait_ready()
        for number in (1, 2, 3):
            appliance.put(f"/v1/nodes/node{number}", node_object(lab, number))
        appliance.write_config(**SHIPPED)
        restart_controlplane(appliance)


def health_of(lab, node, check="node"):
    """What status.health of the node says of this check; None: nothing."""
    status = lab.appliance.rest("GET", f"/v1/nodes/{node}")[1]["status"]
    return next((one for one in status.get("health", []) if one["check"] == check), None)


def condition_of(lab, node, kind):
    status = lab.appliance.rest("GET", f"/v1/nodes/{node}")[1]["status"]
    return next((one for one in status["conditions"] if one["type"] == kind), None)


def wait_verdict(lab, node, healthy, reason="", check="node", within=20):
    """Until the node's check is found so, and the dataplane forwards by it. Returns what status.health has."""
    def there():
        found = health_of(lab, node, check)
        return found if found and found["healthy"] == healthy and reason in found["reason"] else None
    found = eventually(there, within, f"{node} is found {'well' if healthy else 'failing'} {reason}")
    lab.appliance.wait_in_force()
    return found


def nodes_of_new_connections(lab, vip, port=80, count=30):
    """Who answers so many new connections; each must be answered."""
    return {fetch(lab.client, vip, port).text.strip() for _ in range(count)}


def events_of(lab, node):
    return lab.appliance.rest("GET", f"/v1/events?kind=Node&name={node}")[1]["items"]
