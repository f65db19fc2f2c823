"""A small data centre in network namespaces: a client, the appliance, a switch, three nodes with real servers.

The demo and the system tests both stand on it. Standard library only. See lab.py for how the parts come together:

    with Lab("gw-demo") as lab:
        lab.appliance.start()
        lab.appliance.cli("apply", "-f", "configs/demo")
        print(fetch(lab.client, "203.0.113.1", 80).text)

Everything a lab makes carries its name as prefix (namespaces) or lives in /run/guideway-lab/<name>, so that a run that
was killed half-way can be removed by the next one.
"""
from .appliance import Appliance, CommandFailed
from .health import HealthServer
from .held import HeldConnection, held_on
from .host import HugePages, missing_abilities
from .lab import Lab, remove_leftovers
from .namespace import Namespace
from .process import Process
from .topology import Topology, Site
from .traffic import (Reply, RequestLoad, TcpStream, ask_udp, connect, fetch, receive,
                      spread_of)
from .wait import TimeoutExpired, eventually

__all__ = ["Appliance", "CommandFailed", "HealthServer", "HeldConnection", "HugePages", "Lab", "Namespace", "Process", "Reply", "RequestLoad", "Site",
           "TcpStream", "TimeoutExpired", "Topology", "ask_udp", "connect", "eventually", "fetch",
           "held_on", "missing_abilities", "receive", "remove_leftovers", "spread_of"]
