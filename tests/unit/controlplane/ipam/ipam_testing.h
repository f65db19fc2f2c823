// Short words for the tests of the address management.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "controlplane/ipam/allocator.h"

namespace guideway::ipam {

inline IpAddress ip(const std::string& text) {
    const auto parsed = IpAddress::parse(text);
    EXPECT_TRUE(parsed) << text;
    return parsed.value_or(IpAddress{});
}

inline PoolDefinition pool(std::string name, std::vector<std::string> addresses, bool auto_assign = true,
                           bool avoid_buggy_ips = false) {
    return {std::move(name), std::move(addresses), auto_assign, avoid_buggy_ips, false};
}

inline PoolSet pool_set(std::vector<PoolDefinition> definitions) {
    ParsedPools parsed = parse_pools(std::move(definitions));
    for (const PoolFault& fault : parsed.faults) ADD_FAILURE() << fault.pool << ": " << fault.message;
    return parsed.set;
}

inline ServiceKey service(const std::string& name, const std::string& name_space = "default") {
    return {kDefaultCluster, name_space, name};
}

inline Wish v4_wish() { return {}; }
inline Wish v6_wish() { return {FamilyPolicy::single, IpFamily::ipv6, "", {}, {}}; }
inline Wish wish_of(FamilyPolicy policy, IpFamily primary = IpFamily::ipv4) { return {policy, primary, "", {}, {}}; }
inline Wish from_pool(std::string name, Wish wish = {}) {
    wish.pool = std::move(name);
    return wish;
}
inline Wish asking_for(const std::vector<std::string>& addresses, Wish wish = {}) {
    for (const std::string& address : addresses) wish.addresses.push_back(ip(address));
    return wish;
}
inline Wish sharing(std::string key, std::vector<std::uint16_t> tcp_ports, Wish wish = {}) {
    wish.claim.sharing_key = std::move(key);
    for (const std::uint16_t port : tcp_ports) wish.claim.ports.push_back({contract::Protocol::tcp, port});
    return wish;
}

/// An allocator whose calls are a transaction each, with answers as text: "192.0.2.1 2001:db8::1" or the reason.
struct Bench {
    explicit Bench(std::vector<PoolDefinition> pools) {
        allocator.begin(now);
        allocator.set_pools(pool_set(std::move(pools)));
        allocator.commit();
    }
    std::string ensure(const std::string& name, Wish wish = {}, const std::string& name_space = "default") {
        allocator.begin(now);
        allocator.ensure(service(name, name_space), std::move(wish), ++order);
        last_events = allocator.events();
        allocator.commit();
        return held(name, name_space);
    }
    void release(const std::string& name) {
        allocator.begin(now);
        EXPECT_TRUE(allocator.release(service(name)));
        last_events = allocator.events();
        allocator.commit();
    }
    void set_pools(std::vector<PoolDefinition> pools) {
        allocator.begin(now);
        allocator.set_pools(pool_set(std::move(pools)));
        last_events = allocator.events();
        allocator.commit();
    }
    /// As after a crash: only what the store keeps is left.
    void restart(std::vector<PoolDefinition> pools) {
        std::map<ServiceKey, Allocation> recorded = allocator.allocations();
        const std::vector<Quarantined> quarantined = allocator.quarantined();
        allocator = Allocator();
        allocator.begin(now);
        allocator.load(pool_set(std::move(pools)), std::move(recorded), quarantined);
        allocator.commit();
    }
    std::string held(const std::string& name, const std::string& name_space = "default") const {
        const Allocation* allocation = allocator.find(service(name, name_space));
        if (allocation == nullptr) return "(gone)";
        std::string text;
        for (const Holding& holding : allocation->holdings) {
            text += (text.empty() ? "" : " ") + holding.address.to_string();
        }
        if (allocation->refusal) {
            text += (text.empty() ? "" : " ") + std::string(to_string(allocation->refusal->reason));
        }
        return text;
    }
    /// The kinds of the last call's events: "Moved s1, ServedLate s2".
    std::string kinds() const {
        std::string text;
        for (const Event& event : last_events) {
            text += (text.empty() ? "" : ", ") + std::string(to_string(event.kind)) + " " + event.service.name;
        }
        return text;
    }
    std::string pool_of(const std::string& name) const { return allocator.find(service(name))->holdings.at(0).pool; }
    std::string message(const std::string& name, const std::string& name_space = "default") const {
        const Allocation* allocation = allocator.find(service(name, name_space));
        return allocation->refusal ? allocation->refusal->message : "";
    }

    Allocator allocator;
    std::uint64_t order = 0;
    std::uint64_t now = 1'000'000;
    std::vector<Event> last_events;
};

}  // namespace guideway::ipam
