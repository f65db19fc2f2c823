// ipam_bench: how long the address management takes to decide, with many services and large pools.
//
// Times are this thread's CPU time. A "call" is a whole transaction: begin, one ensure or release, changed(), commit. Cases:
//   interval set    a /8 half full by random (8,388,608 addresses held): the search for the first free address, and taking it
//   first fit       pools with 200,000 services: a /8 and a /64, each with random holes below and after them
//   load            100,000 recorded services at a start; then a pool is added
//   quarantine      100,000 addresses in quarantine
//   waiting         50,000 services wait for a full pool, or for addresses that no pool has; 100,000 prefer both families and have one
//   sharing         10,000 addresses of one key, all with port 80; 1,000 services on one address
//
//   ipam_bench [--quick]
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "controlplane/ipam/allocator.h"

namespace guideway::ipam {
namespace {

double cpu_us() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

void print(const char* name, std::vector<double> samples, const char* unit = "us") {
    std::sort(samples.begin(), samples.end());
    std::printf("%-58s %10.2f %10.2f %10.2f %s\n", name, samples[samples.size() / 2],
                samples[samples.size() * 99 / 100], samples.back(), unit);
    std::fflush(stdout);
}

/// Each run of `what` is a sample.
void measure(const char* name, int runs, const std::function<void(int)>& what) {
    std::vector<double> samples;
    for (int i = 0; i < runs; ++i) {
        const double start = cpu_us();
        what(i);
        samples.push_back(cpu_us() - start);
    }
    print(name, std::move(samples));
}

PoolSet pools_of(std::vector<PoolDefinition> definitions) {
    ParsedPools parsed = parse_pools(std::move(definitions));
    if (parsed.faults.empty()) return std::move(parsed.set);
    std::fprintf(stderr, "pool %s: %s\n", parsed.faults[0].pool.c_str(), parsed.faults[0].message.c_str());
    std::exit(1);
}

ServiceKey key(const std::string& prefix, std::size_t i) {
    return {kDefaultCluster, "namespace-" + std::to_string(i % 100), prefix + std::to_string(i)};
}

Wish wish_for(FamilyPolicy policy, IpFamily primary = IpFamily::ipv4) {
    Wish wish;
    wish.policy = policy;
    wish.primary = primary;
    wish.claim.ports = {{contract::Protocol::tcp, 80}, {contract::Protocol::tcp, 443}};
    wish.service_labels = {{"app", "web"}, {"tier", "edge"}};
    return wish;
}

Allocation held(const Wish& wish, const std::vector<IpAddress>& addresses, std::uint64_t order) {
    Allocation allocation;
    allocation.wish = wish;
    allocation.order = order;
    for (const IpAddress& address : addresses) allocation.holdings.push_back({address, "a"});
    allocation.placed = true;
    allocation.claim = wish.claim;
    return allocation;
}

std::uint64_t now_seconds = 1'000'000;

std::size_t ensure(Allocator& allocator, const ServiceKey& service, const Wish& wish, std::uint64_t order) {
    allocator.begin(now_seconds);
    allocator.ensure(service, wish, order);
    const std::size_t changed = allocator.changed().size();
    allocator.commit();
    return changed;
}
std::size_t release(Allocator& allocator, const ServiceKey& service) {
    allocator.begin(now_seconds);
    allocator.release(service);
    const std::size_t changed = allocator.changed().size();
    allocator.commit();
    return changed;
}

void interval_set(bool quick) {
    std::mt19937 random(1);
    constexpr std::uint32_t kSize = 1U << 24;
    IntervalSet set;
    const std::uint32_t wanted = quick ? kSize / 64 : kSize / 2;
    for (std::uint32_t count = 0; count < wanted;) {
        const Number number = random() % kSize;
        if (set.contains(number)) continue;
        set.insert(number);
        ++count;
    }
    std::printf("  a /8 with %u addresses held, in %zu intervals\n", wanted, set.intervals());
    Number sum = 0;
    measure("interval set: first free after a random address", 10000,
            [&](int) { sum += set.first_outside(random() % kSize); });
    measure("interval set: take the lowest free, give back a random one", 10000, [&](int) {
        set.insert(set.first_outside(0));
        set.erase(random() % kSize);
    });
    if (sum == 0) std::printf("nothing was free\n");
}

/// Every second address of the lower part of the pool is held by random, and the rest of it solidly.
void first_fit(bool quick) {
    const std::size_t count = quick ? 20000 : 200000;
    for (const IpFamily family : {IpFamily::ipv4, IpFamily::ipv6}) {
        const bool is_v4 = family == IpFamily::ipv4;
        std::mt19937 random(2);
        const Number first = is_v4 ? Number{10} << 24 : to_number(*IpAddress::parse("2001:db8::"));
        std::map<ServiceKey, Allocation> recorded;
        const Wish wish = wish_for(FamilyPolicy::single, family);
        std::size_t offset = 0;
        for (std::size_t i = 0; i < count; ++i) {
            offset += i < count / 2 ? 1 + random() % 2 * 2 : 1;
            recorded.emplace(key("s", i), held(wish, {to_address(family, first + offset)}, i));
        }
        Allocator allocator;
        allocator.begin(now_seconds);
        allocator.load(pools_of({{"a", {is_v4 ? "10.0.0.0/8" : "2001:db8::/64"}}}), std::move(recorded));
        allocator.commit();
        measure(
            is_v4 ? "first fit, /8, random holes: ensure a new one" : "first fit, /64, random holes: ensure a new one",
            20000, [&](int i) { ensure(allocator, key("n", static_cast<std::size_t>(i)), wish, count); });
        measure(is_v4 ? "first fit, /8: release a random one, ensure another"
                      : "first fit, /64: release a random one, ensure another",
                10000, [&](int i) {
                    release(allocator, key("s", random() % count));
                    ensure(allocator, key("m", static_cast<std::size_t>(i)), wish, count);
                });
        measure(is_v4 ? "first fit, /8: dry run" : "first fit, /64: dry run", 10000,
                [&](int) { allocator.preview(key("p", 1), wish, now_seconds); });
    }
}

void load(bool quick) {
    const std::size_t count = quick ? 10000 : 100000;
    const auto once = [&](const char* name, FamilyPolicy policy, bool shares) {
        std::vector<double> loads;
        std::vector<double> edits;
        for (int run = 0; run < 5; ++run) {
            std::map<ServiceKey, Allocation> recorded;
            Wish wish = wish_for(policy);
            for (std::size_t i = 0; i < count; ++i) {
                const std::size_t at = shares ? i / 4 : i;
                std::vector<IpAddress> addresses{IpAddress::v4(0x0a000000 + static_cast<std::uint32_t>(at))};
                if (policy == FamilyPolicy::require_dual) {
                    addresses.push_back(to_address(IpFamily::ipv6, to_number(*IpAddress::parse("2001:db8::")) + at));
                }
                if (shares) {
                    wish.claim.sharing_key = "key-" + std::to_string(at);
                    wish.claim.ports = {{contract::Protocol::tcp, static_cast<std::uint16_t>(80 + i % 4)}};
                }
                // Sharers are of one namespace.
                ServiceKey service = key("s", i);
                service.name_space = "namespace-" + std::to_string(at % 100);
                recorded.emplace(service, held(wish, addresses, i));
            }
            Allocator allocator;
            const std::vector<PoolDefinition> pools{{"a", {"10.0.0.0/8", "2001:db8::/64"}}};
            double start = cpu_us();
            allocator.begin(now_seconds);
            allocator.load(pools_of(pools), std::move(recorded));
            if (!allocator.changed().empty()) std::printf("CHANGED %zu services\n", allocator.changed().size());
            allocator.commit();
            loads.push_back((cpu_us() - start) / 1e3);
            start = cpu_us();
            allocator.begin(now_seconds);
            allocator.set_pools(pools_of({pools[0], {"b", {"192.0.2.0/24"}}}));
            allocator.commit();
            edits.push_back((cpu_us() - start) / 1e3);
        }
        print((std::string("load 100,000, ") + name).c_str(), loads, "ms");
        print((std::string("then add a pool, ") + name).c_str(), edits, "ms");
    };
    once("one address each", FamilyPolicy::single, false);
    once("both families", FamilyPolicy::require_dual, false);
    once("four on an address", FamilyPolicy::single, true);
}

void quarantine(bool quick) {
    const std::size_t count = quick ? 10000 : 100000;
    PoolDefinition pool{"a", {"10.0.0.0/8"}};
    pool.quarantine_seconds = 600;
    std::vector<Quarantined> quarantined;
    for (std::size_t i = 0; i < count; ++i) {
        quarantined.push_back({IpAddress::v4(0x0a000000 + static_cast<std::uint32_t>(i)), now_seconds, key("old", i)});
    }
    const Wish wish = wish_for(FamilyPolicy::single);
    Allocator allocator;
    allocator.begin(now_seconds);
    allocator.load(pools_of({pool}), {}, quarantined);
    allocator.commit();
    measure("quarantine: ensure beside 100,000 of them", 10000,
            [&](int i) { ensure(allocator, key("n", static_cast<std::size_t>(i)), wish, 1); });
    measure("quarantine: ensure of a former holder", 10000,
            [&](int i) { ensure(allocator, key("old", static_cast<std::size_t>(i)), wish, 1); });
    pool.addresses = {"10.0.0.0-" + IpAddress::v4(0x0a000000 + static_cast<std::uint32_t>(count) - 1).to_string()};
    allocator = Allocator();
    allocator.begin(now_seconds);
    allocator.load(pools_of({pool}), {}, quarantined);
    allocator.commit();
    measure("quarantine: ensure where nothing else is free", 10000,
            [&](int i) { ensure(allocator, key("n", static_cast<std::size_t>(i)), wish, 1); });
}

void waiting(bool quick) {
    const std::size_t count = quick ? 5000 : 50000;
    const auto fill = [&](Allocator& allocator, const Wish& wish) {
        allocator.begin(now_seconds);
        for (std::size_t i = 0; i < count; ++i) allocator.ensure(key("w", i), wish, 1000 + i);
        allocator.commit();
    };
    {
        Allocator allocator;
        allocator.begin(now_seconds);
        allocator.set_pools(pools_of({{"a", {"10.0.0.0/22"}}, {"b", {"10.9.0.0/16"}, false}}));
        for (std::size_t i = 0; i < 1024; ++i) allocator.ensure(key("s", i), wish_for(FamilyPolicy::single), i);
        allocator.commit();
        fill(allocator, wish_for(FamilyPolicy::single));
        Wish elsewhere = wish_for(FamilyPolicy::single);
        elsewhere.pool = "b";
        measure("50,000 wait: ensure of one more", 2000, [&](int i) {
            ensure(allocator, key("x", static_cast<std::size_t>(i)), wish_for(FamilyPolicy::single), 1 << 20);
        });
        measure("50,000 wait: ensure in another pool", 2000,
                [&](int i) { ensure(allocator, key("y", static_cast<std::size_t>(i)), elsewhere, 1 << 20); });
        measure("50,000 wait: release, which serves the oldest", 1000,
                [&](int i) { release(allocator, key("s", static_cast<std::size_t>(i))); });
    }
    {
        Allocator allocator;
        allocator.begin(now_seconds);
        allocator.set_pools(pools_of({{"a", {"10.0.0.0/16"}}}));
        allocator.commit();
        Wish wish = wish_for(FamilyPolicy::single);
        wish.addresses = {*IpAddress::parse("192.0.2.7")};
        fill(allocator, wish);
        measure("50,000 wait for an address of no pool: ensure", 2000, [&](int i) {
            ensure(allocator, key("x", static_cast<std::size_t>(i)), wish_for(FamilyPolicy::single), 1 << 20);
        });
        measure("50,000 wait for an address of no pool: release", 2000,
                [&](int i) { release(allocator, key("x", static_cast<std::size_t>(i))); });
    }
    {
        Allocator allocator;
        allocator.begin(now_seconds);
        allocator.set_pools(pools_of({{"a", {"10.0.0.0/8"}}}));
        for (std::size_t i = 0; i < 2 * count; ++i) {
            allocator.ensure(key("s", i), wish_for(FamilyPolicy::prefer_dual), i);
        }
        allocator.commit();
        measure("100,000 prefer both and have one: ensure", 2000, [&](int i) {
            ensure(allocator, key("x", static_cast<std::size_t>(i)), wish_for(FamilyPolicy::single), 1 << 20);
        });
        measure("100,000 prefer both and have one: release", 2000,
                [&](int i) { release(allocator, key("s", static_cast<std::size_t>(i))); });
    }
}

void sharing(bool quick) {
    const std::size_t count = quick ? 1000 : 10000;
    Wish wish = wish_for(FamilyPolicy::single);
    wish.claim.sharing_key = "k";
    wish.claim.ports = {{contract::Protocol::tcp, 80}};
    const auto of_one = [](const std::string& prefix, std::size_t i) {
        return ServiceKey{kDefaultCluster, "shop", prefix + std::to_string(i)};
    };
    Allocator allocator;
    allocator.begin(now_seconds);
    allocator.set_pools(pools_of({{"a", {"10.0.0.0/8"}}}));
    for (std::size_t i = 0; i < count; ++i) allocator.ensure(of_one("s", i), wish, i);
    allocator.commit();
    measure("10,000 addresses of a key, port 80 on all: ensure with 80", 2000,
            [&](int i) { ensure(allocator, of_one("x", static_cast<std::size_t>(i)), wish, 1 << 20); });
    for (std::uint16_t i = 0; i < 1000; ++i) {
        wish.claim.ports = {{contract::Protocol::tcp, static_cast<std::uint16_t>(10000 + i)}};
        ensure(allocator, of_one("p", i), wish, 1 << 20);
    }
    measure("1,000 services on an address: ensure one more", 2000, [&](int i) {
        wish.claim.ports = {{contract::Protocol::tcp, static_cast<std::uint16_t>(20000 + i)}};
        ensure(allocator, of_one("q", static_cast<std::size_t>(i)), wish, 1 << 20);
    });
}

}  // namespace
}  // namespace guideway::ipam

int main(int argc, char** argv) {
    const bool quick = argc > 1 && std::strcmp(argv[1], "--quick") == 0;
    if (argc > 2 || (argc == 2 && !quick)) {
        std::fprintf(stderr, "usage: ipam_bench [--quick]\n");
        return 2;
    }
    std::printf("%-58s %10s %10s %10s\n", "case", "median", "p99", "largest");
    guideway::ipam::first_fit(quick);
    guideway::ipam::load(quick);
    guideway::ipam::quarantine(quick);
    guideway::ipam::waiting(quick);
    guideway::ipam::sharing(quick);
    guideway::ipam::interval_set(quick);
    return 0;
}
