"""Manifests of the tests, as plain objects: only what a test asks for is in them, so that Kubernetes' defaults hold for the rest."""

ALL_ARGS = ("http=8080", "udp=5353", "tcp=7000")


def deployment(name, replicas=3, args=ALL_ARGS, namespace="default", pre_stop=2, grace=10, node=None, annotations=None, version="1",
               labels=None):
    """Pods of tools/pod_server.py, rolled as a careful user does it: one more at a time, none less, preStop long enough for news to travel."""
    container = {"name": "server", "image": f"pod-server:{version}", "args": list(args)}
    if pre_stop:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": pre_stop}}}
    spec = {"terminationGracePeriodSeconds": grace, "containers": [container]}
    if node:
        spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    meta = {"labels": {"app": name, **(labels or {})}}
    if annotations:
        meta["annotations"] = annotations
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                     "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                     "template": {"metadata": meta, "spec": spec}}}


HTTP = {"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}
UDP = {"name": "dns", "protocol": "UDP", "port": 53, "targetPort": 5353}
STREAM = {"name": "stream", "protocol": "TCP", "port": 7, "targetPort": 7000}


def service(name, ports=(HTTP,), app=None, namespace="default", annotations=None, dual=True, **spec):
    """type: LoadBalancer for the pods of `app` (default: as it is called). dual=False: whatever the cluster's first family is."""
    meta = {"name": name, "namespace": namespace}
    if annotations:
        meta["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta,
            "spec": {"type": "LoadBalancer", "selector": {"app": app or name}, "ports": [dict(one) for one in ports],
                     **({"ipFamilyPolicy": "RequireDualStack"} if dual else {}), **spec}}
