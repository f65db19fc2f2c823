#include "tests/bench/flow/plan.h"

#include <cstring>
#include <string>

namespace guideway::bench {

IpAddress address(int ip, const Prefix& prefix, std::uint32_t low_be) {
    IpAddress result;
    if (ip == 4) {
        std::memcpy(result.bytes.data(), &low_be, sizeof low_be);
        return result;
    }
    result.family = IpFamily::ipv6;
    std::memcpy(result.bytes.data(), prefix.data(), prefix.size());
    std::memcpy(result.bytes.data() + prefix.size(), &low_be, sizeof low_be);
    return result;
}

contract::ForwardingState forwarding_state() {
    contract::ForwardingState state;
    state.generation = 1;
    for (const int ip : {4, 6}) {
        contract::BackendSet set;
        set.name = "nodes-ipv" + std::to_string(ip);
        set.family = ip == 4 ? IpFamily::ipv4 : IpFamily::ipv6;
        for (std::uint32_t backend = 0; backend < kBackends; ++backend) {
            set.backends.push_back(
                {"node-" + std::to_string(backend), address(ip, kNodePrefix, backend_low(backend)), 0, 1});
        }
        for (const contract::Protocol protocol : {contract::Protocol::tcp, contract::Protocol::udp}) {
            const auto number = static_cast<std::uint8_t>(protocol);
            state.services.push_back({"bench/flows", address(ip, kVipPrefix, kVipLow), protocol, vip_port(number),
                                      set.name, node_port(number), 0});
        }
        state.backend_sets.push_back(std::move(set));
    }
    return state;
}

std::vector<IpAddress> snat_addresses() {
    std::vector<IpAddress> result;
    for (const int ip : {4, 6}) {
        for (std::uint32_t snat = 0; snat < kSnatAddresses; ++snat) {
            result.push_back(address(ip, kNodePrefix, snat_low(snat)));
        }
    }
    return result;
}

snapshot::RoutingSnapshot routing() {
    snapshot::RoutingSnapshot result;
    result.epoch = 1;
    for (const packet::MacAddress& mac : kPortMac) result.ports.push_back({mac, 1500, true, {}});
    const auto route = [&](const char* prefix, std::uint16_t port, const char* gateway) {
        snapshot::Route added;
        added.prefix = IpPrefix::parse(prefix).value();
        added.port = port;
        added.on_link = gateway == nullptr;
        if (gateway != nullptr) added.gateway = IpAddress::parse(gateway).value();
        result.routes.push_back(added);
    };
    const auto neighbour = [&](std::uint16_t port, const IpAddress& who, const packet::MacAddress& mac) {
        result.neighbours[{port, who}] = static_cast<std::uint16_t>(result.next_hops.size());
        result.next_hops.push_back({mac, kPortMac[port], static_cast<std::uint8_t>(port), true, 0});
    };
    route("0.0.0.0/0", kClientPort, "192.0.2.254");
    route("::/0", kClientPort, "fe80::1");
    route("10.0.2.0/24", kNodePort, nullptr);
    route("2001:db8:2::/64", kNodePort, nullptr);
    neighbour(kClientPort, IpAddress::parse("192.0.2.254").value(), kRouterMac);
    neighbour(kClientPort, IpAddress::parse("fe80::1").value(), kRouterMac);
    for (std::uint32_t backend = 0; backend < kBackends; ++backend) {
        for (const int ip : {4, 6}) {
            neighbour(kNodePort, address(ip, kNodePrefix, backend_low(backend)), node_mac(backend));
        }
    }
    result.finish();
    return result;
}

}  // namespace guideway::bench
