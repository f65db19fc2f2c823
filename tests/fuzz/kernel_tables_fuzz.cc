// Any bytes as the kernel's messages of links, addresses, routes, next-hop objects and neighbours: bounds hold, and what is built of them is
// whole: each index it names is there.
//
// Input: messages. A byte chooses the type and the flags, the next is the length of what follows.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <memory>
#include <vector>

#include "dataplane/net/kernel_tables.h"

namespace {

using guideway::net::KernelTables;

constexpr std::array<std::uint16_t, 10> kTypes{RTM_NEWLINK,    RTM_DELLINK,  RTM_NEWADDR,  RTM_DELADDR,
                                               RTM_NEWROUTE,   RTM_DELROUTE, RTM_NEWNEIGH, RTM_NEWNEXTHOP,
                                               RTM_DELNEXTHOP, RTM_DELNEIGH};

void require(bool condition) {
    if (!condition) std::abort();
}

void check(const guideway::snapshot::RoutingSnapshot& routing) {
    for (const auto& [key, index] : routing.neighbours) {
        require(index < routing.next_hops.size() && key.port < routing.ports.size());
    }
    for (const auto& hop : routing.next_hops) require(!hop.usable || hop.port < routing.ports.size());
    for (const auto& route : routing.routes) {
        require(route.port < routing.ports.size());
        require(route.gateway_hop < static_cast<std::int32_t>(routing.next_hops.size()));
        const auto found = routing.lookup(route.prefix.address, 7);
        require(found.kind != guideway::snapshot::NextHopResult::Kind::found || found.index < routing.next_hops.size());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::vector<guideway::net::TwinIdentity> twins(2);
    twins[0].ifindex = 2;
    twins[1].ifindex = 3;
    KernelTables tables(twins);
    for (std::size_t at = 0; at + 2 <= size;) {
        const std::uint8_t kind = data[at];
        const std::size_t length = std::min<std::size_t>(data[at + 1], size - at - 2);
        at += 2;
        // Exactly as long as the message, on the heap, so that the sanitizer sees one byte too many.
        const auto bytes = std::make_unique<std::uint8_t[]>(sizeof(nlmsghdr) + length);
        nlmsghdr head{};
        head.nlmsg_len = static_cast<std::uint32_t>(sizeof head + length);
        head.nlmsg_type = kTypes[kind % kTypes.size()];
        head.nlmsg_flags = (kind & 0x80U) != 0 ? NLM_F_REPLACE : 0;
        std::memcpy(bytes.get(), &head, sizeof head);
        std::copy_n(data + at, length, bytes.get() + sizeof head);
        at += length;
        tables.apply(*reinterpret_cast<const nlmsghdr*>(bytes.get()));
        if (const auto routing = tables.build()) check(*routing);
    }
    return 0;
}
