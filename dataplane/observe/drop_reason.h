// DropReason: the name of every way a packet can end in the dataplane (invariant I4: nothing is silent).
//
// The list is the contract with operators: names become the `reason` label of guideway_dataplane_dropped_packets_total
// and are documented, with what to do, in docs/drops.md. Add a reason here and nowhere else.
// Thread contract: constants.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace guideway::observe {

// X(name, what it means in one line, for people)
#define GUIDEWAY_DROP_REASONS(X)                                                                                \
    X(none, "not dropped")                                                                                      \
    X(ethernet_truncated, "frame shorter than its Ethernet or VLAN header")                                     \
    X(vlan_unknown, "VLAN tags that no VLAN of the port has (ports with VLANs only)")                           \
    X(frame_too_long, "frame in several buffers, where its headers or the way out need it in one")              \
    X(other_station, "for a VIP or a SNAT address, but to another station's or a group's MAC address")          \
    X(vip_not_on_port, "for a VIP that is served on other ports alone, and of no known connection")             \
    X(ip_header_bad, "IP version, header length or total length impossible")                                    \
    X(ip_truncated, "frame shorter than the IP header says: a super-packet of the peer's offload, or damage")   \
    X(ipv4_checksum_bad, "IPv4 header checksum wrong")                                                          \
    X(ipv6_extension_bad, "IPv6 extension headers too many, too long or out of bounds")                         \
    X(ip_options_bad, "IPv4 options whose lengths contradict each other or the header")                         \
    X(ip_source_route, "IPv4 source route: the sender wants another way than the routes' (RFC 7126)")           \
    X(ipv6_routing_header, "IPv6 routing header of type 0 (RFC 5095), or one with segments left")               \
    X(l4_truncated, "TCP, UDP or SCTP header does not fit the packet")                                          \
    X(l4_header_bad, "TCP data offset or UDP length impossible")                                                \
    X(l4_checksum_bad, "TCP, UDP or SCTP checksum wrong on the packet that would open a connection")            \
    X(martian_source, "source is unspecified, loopback, multicast, broadcast, reserved or IPv4-mapped")         \
    X(land_attack, "source and destination are the same address")                                               \
    X(own_source, "source is a VIP or a SNAT address, which nobody else sends from")                            \
    X(source_unroutable, "no route to the source, or none through the port it came by (source_check)")          \
    X(wrong_side, "for an address that is not of the side it came by, where the two sides are apart")           \
    X(ttl_exceeded, "TTL or hop limit used up")                                                                 \
    X(fragment, "fragment of ICMP, SCTP or another protocol than TCP and UDP, for a VIP or a SNAT address")     \
    X(fragment_bad, "fragment without data, of a length that is none, or that ends beyond 65,535 bytes")        \
    X(fragment_tiny, "first fragment without the whole TCP or UDP header, or one that could overwrite it")      \
    X(fragment_overlap, "fragment of a datagram whose fragments overlap")                                       \
    X(fragment_duplicate, "fragment that came before")                                                          \
    X(fragment_too_many, "more fragments than a datagram of that size needs")                                   \
    X(fragment_timed_out, "fragment that waited for the first of its datagram, which did not come")             \
    X(fragment_displaced, "fragment that waited for the first of its datagram and gave way to newer ones")      \
    X(fragment_orphan, "fragment of a datagram whose first was not forwarded, or is not known any more")        \
    X(protocol_unsupported, "protocol other than TCP, UDP, SCTP or ICMP for a VIP or a SNAT address")           \
    X(icmp_unhandled, "ICMP other than echo and errors for a VIP or a SNAT address")                            \
    X(icmp_source_quench, "ICMP source quench, which nobody obeys since RFC 6633")                              \
    X(icmp_quote_bad, "ICMP error that quotes too little, or no packet of ours of TCP, UDP or SCTP")            \
    X(icmp_mtu_bad, "ICMP error that tells an MTU below 68 (IPv4) or 1280 (IPv6)")                              \
    X(icmp_unmatched, "ICMP error about a packet of no known connection")                                       \
    X(icmp_doubtful, "ICMP error that quotes a sequence number the connection is not near to")                  \
    X(icmp_limited, "ICMP error over the rate limit")                                                           \
    X(echo_silent, "echo request for a VIP that is configured not to answer, or cannot serve")                  \
    X(icmp_checksum_bad, "ICMP checksum wrong")                                                                 \
    X(arp_bad, "malformed ARP for one of our addresses")                                                        \
    X(ndp_bad, "malformed neighbour discovery for one of our addresses")                                        \
    X(port_closed, "no service on this port of the VIP; not answered: over the rate limit, or silent")          \
    X(no_backend, "service without usable backends; not answered: over the rate limit, or silent")              \
    X(service_connections_limited, "over the service's limit of new connections")                               \
    X(service_packets_limited, "over the service's limit of packets")                                           \
    X(source_connections_limited, "over the service's limit of new connections from one source prefix")         \
    X(source_not_allowed, "client outside the service's source ranges")                                         \
    X(no_connection, "TCP or SCTP packet of no known connection; not answered: over the rate limit, or silent") \
    X(refused, "answered with RST or port unreachable (the packet itself ends here)")                           \
    X(reply_unknown, "packet to a SNAT address that belongs to no connection")                                  \
    X(flow_table_full, "no room for another connection")                                                        \
    X(snat_ports_exhausted, "no free SNAT port towards the backend")                                            \
    X(snat_address_missing, "no SNAT address of the service's family is configured")                            \
    X(no_route, "no route to the next hop")                                                                     \
    X(neighbour_unresolved, "next hop's MAC address not learnt in time")                                        \
    X(neighbour_queue_full, "too many packets wait for a next hop's MAC address")                               \
    X(packet_too_big, "larger than the outgoing port's MTU")                                                    \
    X(fragmentation_wanted, "larger than the outgoing port's MTU, and more than 64 parts of that")              \
    X(tag_room_missing, "no room for the outgoing VLAN's tags in front of the frame")                           \
    X(tx_full, "outgoing queue full or refused by the driver")                                                  \
    X(handover_full, "ring to the worker that owns the connection full")                                        \
    X(kernel_path_full, "ring to the kernel full")                                                              \
    X(kernel_neighbour_limited, "ARP or neighbour discovery for the kernel, over its budget")                   \
    X(kernel_tcp_limited, "TCP for the kernel, which has no room for more of it")                               \
    X(kernel_syn_limited, "TCP handshake for the kernel, over its budget")                                      \
    X(kernel_icmp_limited, "ICMP for the kernel, over its budget")                                              \
    X(kernel_other_limited, "UDP, fragment or other packet for the kernel, over its budget")                    \
    X(kernel_path_refused, "the kernel's TAP refused the packet")                                               \
    X(answered, "ARP, neighbour discovery or echo request answered (the request itself ends here)")             \
    X(mbuf_exhausted, "no packet buffer for an answer")

enum class DropReason : std::uint8_t {
#define X(name, text) name,
    GUIDEWAY_DROP_REASONS(X)
#undef X
};

inline constexpr std::array kDropReasonNames = {
#define X(name, text) std::string_view{#name},
    GUIDEWAY_DROP_REASONS(X)
#undef X
};

inline constexpr std::array kDropReasonTexts = {
#define X(name, text) std::string_view{text},
    GUIDEWAY_DROP_REASONS(X)
#undef X
};

inline constexpr std::size_t kDropReasonCount = kDropReasonNames.size();

constexpr std::string_view to_string(DropReason reason) { return kDropReasonNames[static_cast<std::size_t>(reason)]; }

}  // namespace guideway::observe
