// Answer: what a builder of answers returns. The builders (arp_reply.h, neighbour_advertisement.h, echo_reply.h, tcp_reset.h,
// port_unreachable.h, sctp_abort.h) keep the request's VLAN tags, send to the request's source MAC and take the port's as source.
// Thread contract: plain value.
#pragma once

#include <cstdint>

#include "dataplane/observe/drop_reason.h"

namespace guideway::packet {

struct Answer {
    std::uint32_t length = 0;  ///< of the answer's frame; 0: none was built and the buffer is as it was
    /// Why there is none; `none` where the rules forbid to answer (a RST, an ICMP error, a multicast source): the packet then ends
    /// with the reason the caller has for it.
    observe::DropReason reason = observe::DropReason::none;

    bool built() const noexcept { return length != 0; }
    explicit operator bool() const noexcept { return built(); }
};

}  // namespace guideway::packet
