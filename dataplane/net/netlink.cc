#include "dataplane/net/netlink.h"

#include <chrono>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <pthread.h>
#include <utility>

#include <spdlog/spdlog.h>

namespace guideway::net {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kGroups = RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                                  RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | 1U << (RTNLGRP_NEXTHOP - 1);
constexpr int kWaitMs = 2;  ///< how long a worker's wish may lie; the rings wake nobody
constexpr int kDumpAttempts = 5;
/// Whoever sends with one MAC address after the other makes no more snapshots than these.
constexpr auto kShowLearnedEach = std::chrono::milliseconds(100);
/// The kernel tells of some vanished routes only by their absence (a source address removed): looked at anew so often.
constexpr auto kReadAllEvery = std::chrono::seconds(60);

}  // namespace

Netlink::Netlink(std::vector<TwinIdentity> twins, snapshot::Publisher& publisher,
                 std::vector<worker::ResolveQueue*> wishes, std::vector<worker::RouterQueue*> routers)
    : twins_(std::move(twins)),
      publisher_(publisher),
      wishes_(std::move(wishes)),
      routers_(std::move(routers)),
      tables_(twins_) {}

Netlink::~Netlink() { stop(); }

std::optional<std::string> Netlink::start() {
    if (auto error = changes_.open(kGroups)) return error;
    if (auto error = requests_.open(0)) return error;
    if (!read_all()) return std::string("netlink: the kernel did not give its routes and neighbours");
    publish();
    thread_ = std::thread([this] { run(); });
    pthread_setname_np(thread_.native_handle(), "gw-netlink");
    return std::nullopt;
}

void Netlink::stop() {
    stopping_.store(true, std::memory_order_relaxed);
    if (thread_.joinable()) thread_.join();
}

bool Netlink::read_all() {
    const auto handler = [this](const nlmsghdr& message) { tables_.apply(message); };
    const KernelTables known = tables_;
    for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
        tables_.clear();
        bool complete = true;
        for (const std::uint16_t type : {RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH}) {
            complete = requests_.dump(type, handler) && complete;
        }
        // Kernels before 5.3 have none, and say so.
        if (requests_.read_all(RTM_GETNEXTHOP, handler) != Rtnetlink::Dump::some && complete) return true;
    }
    tables_ = known;
    return false;
}

void Netlink::publish() {
    if (auto next = tables_.build()) {
        spdlog::debug("routing: epoch {}, {} routes, {} usable neighbours", next->epoch, next->routes.size(),
                      next->neighbours.size());
        if (tables_.only_learned()) {
            publisher_.publish_addition(std::move(next));
        } else {
            publisher_.publish(std::move(next));
        }
    }
    const auto now = Clock::now();
    for (const auto& [port, gateway] : tables_.gateways()) {
        const snapshot::NeighbourKey key{port, gateway};
        if (!tables_.is_stale(key)) continue;
        if (const auto how = resolver_.wish(key, now)) ask(key, *how);
    }
}

void Netlink::run() {
    auto last_refresh = Clock::now();
    auto last_read = last_refresh;
    Clock::time_point last_shown{};  // of routers that were learned
    bool unshown = false;
    pollfd watched{changes_.fd(), POLLIN, 0};
    while (!stopping_.load(std::memory_order_relaxed)) {
        poll(&watched, 1, kWaitMs);
        const auto now = Clock::now();
        const auto seen = changes_.follow([this](const nlmsghdr& message) { tables_.apply(message); });
        bool changed = seen == Rtnetlink::Follow::some;
        if (seen == Rtnetlink::Follow::lost || now - last_read >= kReadAllEvery) {
            if (seen == Rtnetlink::Follow::lost)
                spdlog::warn("netlink: the kernel lost messages; reading everything again");
            last_read = now;
            changed = read_all();
            if (!changed)
                spdlog::error("netlink: routes and neighbours could not be read; going on with what is known");
        }
        unshown = hear_routers(now) || unshown;
        if (changed || (unshown && now - last_shown >= kShowLearnedEach)) {
            if (unshown) last_shown = now;
            unshown = false;
            publish();
        }
        serve_wishes(now);
        if (now - last_refresh >= Resolver::kRefreshEvery) {
            last_refresh = now;
            refresh(now);
        }
    }
}

void Netlink::serve_wishes(Clock::time_point now) {
    for (worker::ResolveQueue* queue : wishes_) {
        while (const auto key = queue->pop()) {
            if (key->port >= twins_.size()) continue;
            if (const auto how = resolver_.wish(*key, now)) ask(*key, *how);
        }
    }
}

bool Netlink::hear_routers(Clock::time_point now) {
    bool news = false;
    for (worker::RouterQueue* queue : routers_) {
        while (const auto heard = queue->pop()) news = tables_.learn(heard->port, heard->mac, now) || news;
    }
    if (news) spdlog::debug("routing: {} routers known by their packets alone", tables_.learned());
    return news;
}

void Netlink::ask(const snapshot::NeighbourKey& key, Resolve how) {
    const unsigned ifindex = twins_[key.port].ifindex;
    if (how == Resolve::managed && managed_) {
        if (!requests_.resolve(ifindex, key.address, Resolve::managed)) return;
        spdlog::info(
            "netlink: this kernel does not keep neighbours fresh by itself (NTF_EXT_MANAGED); asking for them instead");
        managed_ = false;
        resolver_.no_managed();
    }
    if (const auto error = requests_.resolve(ifindex, key.address, Resolve::once)) {
        spdlog::debug("netlink: asking for {}: {}", key.address.to_string(), *error);
    }
}

void Netlink::refresh(Clock::time_point now) {
    const auto stale = [this](const snapshot::NeighbourKey& key) { return tables_.is_stale(key); };
    for (const auto& key : resolver_.refresh(now, stale)) ask(key, Resolve::once);
}

}  // namespace guideway::net
