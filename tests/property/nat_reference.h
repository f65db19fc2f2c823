// NatReference: what the worker should do with each packet, written slowly and from the documents: maps from tuples to connections,
// states by RFC 9293, RFC 1337, RFC 6191, RFC 5961 (as docs and tcp_state.h say them), times by RFC 5382 and RFC 4787.
// It shares no code with the worker. What it cannot know, a new connection's backend and SNAT port, it is told (learn()) and
// holds the worker to from then on.
//
// Time-outs may come late (FlowEntry's stamp, the ageing sweep), never early. A connection is alive up to its limit and gone
// kLate seconds after it; in between it is `in_doubt` and nothing is said of it.
//
//   NatReference nat; nat.apply(state);
//   const Verdict verdict = nat.from_client({client, vip, 40000, 80, 6}, segment);
//   if (verdict.what == Verdict::open) nat.learn(verdict.connection, seen_on_the_wire);
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "api/contract/forwarding_state.h"
#include "dataplane/observe/drop_reason.h"

namespace guideway::worker::testing {

/// A packet's source and destination, ports in host order.
struct Ends {
    IpAddress source;
    IpAddress destination;
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint8_t protocol = 0;
    friend auto operator<=>(const Ends&, const Ends&) = default;
};

struct Segment {
    bool syn = false, ack = false, fin = false, rst = false;
    std::uint32_t sequence = 0;
    std::uint32_t acknowledgement = 0;
    std::uint32_t payload = 0;
    std::uint8_t ttl = 64;
    bool damaged = false;  ///< the checksum of TCP or UDP is wrong
    std::uint32_t end() const { return sequence + payload + (syn ? 1U : 0U) + (fin ? 1U : 0U); }
    bool opens() const { return syn && !ack && !fin && !rst; }
};

struct NatConnection {
    enum class State { opening, answered, established, closing, time_wait, reset, one_way, both_ways };
    Ends client;                  ///< as its packets say
    std::optional<Ends> backend;  ///< as the backend's packets say
    State state = State::opening;
    std::array<bool, 2> fin{}, rst{};  ///< [0] by the client, [1] by the backend
    std::array<bool, 2> ahead{};       ///< a packet of the side was too far on to be believed
    std::array<std::uint32_t, 2>
        edge{};              ///< the number behind the last byte of each; known while established or closing
    std::uint64_t last = 0;  ///< second of the last packet
    std::uint64_t backend_life = 0;

    bool tracked() const { return state == State::established || state == State::closing; }
    bool steady() const { return state == State::established || state == State::both_ways; }
};
using ConnectionPtr = std::shared_ptr<NatConnection>;

struct Verdict {
    enum What { forward, open, refuse, drop } what = drop;
    ConnectionPtr connection;  ///< of forward and open
    observe::DropReason reason = observe::DropReason::none;
    bool decided_anew = false;  ///< another connection on the same tuple ended by this packet
};

enum class Belief { yes, no, unsure };

class NatReference {
  public:
    using State = NatConnection::State;
    static constexpr std::uint64_t kLate = 10;

    std::uint64_t now = 0;       ///< seconds
    std::uint64_t doubtful = 0;  ///< FIN and RST not believed
    std::size_t unsaid = 0;      ///< entries that may or may not stand in the worker's table, apart from those in doubt

    void apply(const contract::ForwardingState& state) {
        std::map<std::tuple<IpAddress, std::uint8_t, std::uint16_t>, Service> services;
        std::map<IpAddress, Backend> backends;
        for (const auto& set : state.backend_sets) {
            for (const auto& backend : set.backends) {
                const auto before = backends_.find(backend.address);
                backends[backend.address] = {before != backends_.end() ? before->second.life : ++lives_,
                                             backend.weight};
            }
        }
        for (const auto& service : state.services) {
            const std::tuple key{service.vip, static_cast<std::uint8_t>(service.protocol), service.port};
            services[key] = {service.idle_timeout_seconds, service.backend_port};
        }
        std::erase_if(by_client_, [&](const auto& item) {
            const NatConnection& connection = *item.second;
            // Its limit may change now, and whether it is still there decides what that means.
            // Of UDP towards a backend that drains, silence decides in seconds (Kubernetes rule 16): worker_drain_test.cc has that.
            const auto at = connection.backend ? backends.find(connection.backend->source) : backends.end();
            const bool watched = connection.client.protocol == 17 && at != backends.end() && at->second.weight == 0;
            const bool unclear = watched || (in_doubt(connection) && connection.steady());
            const bool over = services.count(service_key(connection.client)) == 0;
            if (!unclear && !over) return false;
            if (unclear) retired_.insert(connection.client);
            ++unsaid;
            if (connection.backend) by_backend_.erase(*connection.backend);
            return true;
        });
        services_ = std::move(services);
        backends_ = std::move(backends);
        applied_ = now;
    }

    /// After `now` was moved.
    void expire() {
        std::erase_if(by_client_, [&](const auto& item) {
            if (now <= std::max(item.second->last + limit(*item.second), applied_) + kLate) return false;
            if (item.second->backend) by_backend_.erase(*item.second->backend);
            return true;
        });
    }
    /// Everything is gone by now, whatever was unsaid of it.
    void clear() {
        expire();
        retired_.clear();
        unsaid = 0;
    }

    ConnectionPtr find(const Ends& client) const {
        const auto found = by_client_.find(client);
        return found == by_client_.end() ? nullptr : found->second;
    }
    /// Nothing can be said of packets with this tuple.
    bool unclear(const Ends& client) const {
        const ConnectionPtr connection = find(client);
        return retired_.count(client) != 0 || (connection && in_doubt(*connection));
    }
    bool in_doubt(const NatConnection& connection) const { return now - connection.last > limit(connection); }
    const std::map<Ends, ConnectionPtr>& connections() const { return by_client_; }
    std::size_t count_in_doubt() const {
        std::size_t count = 0;
        for (const auto& item : by_client_) count += in_doubt(*item.second) ? 1 : 0;
        return count;
    }
    std::size_t count_left() const {
        std::size_t count = 0;
        for (const auto& item : by_client_) count += item.second->backend && backend_left(*item.second) ? 1 : 0;
        return count;
    }
    bool serves(const IpAddress& backend) const {
        const auto found = backends_.find(backend);
        return found != backends_.end() && found->second.weight > 0;
    }
    std::uint16_t node_port(const Ends& client) const { return services_.at(service_key(client)).node_port; }

    /// Where FIN and RST stand: 64 KiB behind to 256 KiB ahead of what the side was seen to send last, where "last" may be
    /// 16 KiB old.
    static Belief believed(const NatConnection& connection, unsigned half, std::uint32_t sequence) {
        const auto ahead = static_cast<std::int64_t>(static_cast<std::int32_t>(sequence - connection.edge[half]));
        constexpr std::int64_t kKi = 1024;
        if (ahead >= -64 * kKi && ahead <= 256 * kKi) return Belief::yes;
        if (ahead < -(64 + 16) * kKi || ahead > (256 + 16) * kKi) return Belief::no;
        return Belief::unsure;
    }

    Verdict from_client(const Ends& client, const Segment& segment) {
        ConnectionPtr connection = find(client);
        bool decided_anew = false;
        if (connection && over(*connection, segment)) {
            forget(connection);
            connection = nullptr;
            decided_anew = true;
        }
        if (connection) return carry(connection, 0, segment);
        Verdict verdict = connect(client, segment);
        verdict.decided_anew = decided_anew;
        return verdict;
    }

    Verdict from_backend(const Ends& backend, const Segment& segment) {
        const auto found = by_backend_.find(backend);
        if (found == by_backend_.end()) return {Verdict::drop, nullptr, observe::DropReason::reply_unknown};
        return carry(found->second, 1, segment);
    }

    /// The worker chose. Empty, or why it must not.
    std::string learn(const ConnectionPtr& connection, const Ends& backend) {
        const auto found = by_backend_.find(backend);
        if (found != by_backend_.end()) {
            if (!in_doubt(*found->second)) return "the SNAT port is in use towards this backend";
            forget(found->second);
        }
        if (!serves(backend.source)) return "not a backend in service";
        connection->backend = backend;
        connection->backend_life = backends_.at(backend.source).life;
        // Within its burst it may be over already.
        if (find(connection->client) == connection) by_backend_[backend] = connection;
        return {};
    }

  private:
    struct Service {
        std::uint64_t idle = 0;
        std::uint16_t node_port = 0;
    };
    struct Backend {
        std::uint64_t life = 0;
        std::uint32_t weight = 0;
    };

    static std::tuple<IpAddress, std::uint8_t, std::uint16_t> service_key(const Ends& client) {
        return {client.destination, client.protocol, client.destination_port};
    }

    std::uint64_t limit(const NatConnection& connection) const {
        const auto service = services_.find(service_key(connection.client));
        const std::uint64_t own = service == services_.end() ? 0 : service->second.idle;
        switch (connection.state) {
            case State::opening:
            case State::answered:
                return 60;
            case State::established:
                return own != 0 ? own : 7440;
            case State::closing:
                return 120;
            case State::time_wait:
                return 60;
            case State::reset:
                return 10;
            case State::one_way:
                return 30;
            default:
                return own != 0 ? own : 300;
        }
    }

    bool backend_left(const NatConnection& connection) const {
        const auto found = backends_.find(connection.backend->source);
        return found == backends_.end() || found->second.life != connection.backend_life;
    }

    /// Whether the client's packet begins another connection in place of this one.
    bool over(const NatConnection& connection, const Segment& segment) const {
        const bool left = connection.backend && backend_left(connection);
        if (connection.client.protocol == 17) return left;
        if (!segment.opens()) return false;
        return connection.state == State::time_wait || connection.state == State::reset ||
               (connection.state == State::opening && left);
    }

    void forget(ConnectionPtr connection) {
        if (connection->backend) by_backend_.erase(*connection->backend);
        by_client_.erase(connection->client);
    }

    Verdict carry(const ConnectionPtr& connection, unsigned half, const Segment& segment) {
        if (segment.ttl <= 1) return {Verdict::drop, nullptr, observe::DropReason::ttl_exceeded};
        connection->last = now;
        if (connection->client.protocol == 17) {
            if (half == 1) connection->state = State::both_ways;
        } else {
            advance(*connection, half, segment);
        }
        return {Verdict::forward, connection};
    }

    void advance(NatConnection& c, unsigned half, Segment segment) {
        const bool was_tracked = c.tracked();
        if (was_tracked && (segment.fin || segment.rst) && believed(c, half, segment.sequence) != Belief::yes) {
            ++doubtful;
            segment.fin = segment.rst = false;
        } else if (was_tracked && static_cast<std::int32_t>(segment.end() - c.edge[half]) > 0) {
            // One packet takes a side a MiB further at the most; beyond that the other side's acknowledgement is waited for.
            if (segment.end() - c.edge[half] <= 1U << 20) {
                c.edge[half] = segment.end();
            } else {
                c.ahead[half] = true;
            }
        }
        if (was_tracked && c.ahead[1 - half] && segment.ack) {
            if (static_cast<std::int32_t>(segment.acknowledgement - c.edge[1 - half]) > 0)
                c.edge[1 - half] = segment.acknowledgement;
            c.ahead[1 - half] = false;
        }
        step(c, half, segment);
        if (!was_tracked && c.tracked()) {
            c.ahead = {};
            c.edge[half] = segment.end();
            c.edge[1 - half] = segment.acknowledgement;
        }
    }

    static void step(NatConnection& c, unsigned half, const Segment& segment) {
        if (segment.rst) {
            if (c.state == State::time_wait) return;  // RFC 1337
            c.state = State::reset;
            c.rst[half] = true;
            return;
        }
        if (segment.fin && c.state != State::reset) {
            c.fin[half] = true;
            c.state = c.fin[0] && c.fin[1] ? State::time_wait : State::closing;
            return;
        }
        if (c.state == State::opening && half == 1 && segment.syn && segment.ack) {
            c.state = State::answered;
        } else if (c.state == State::answered && half == 0 && segment.ack && !segment.syn) {
            c.state = State::established;
        } else if (c.state == State::reset && segment.ack && !segment.syn && !segment.fin) {
            // Who talks on did not send that RST.
            if (!c.rst[half] || c.rst[1 - half] || c.fin[0] || c.fin[1]) return;
            c.rst[half] = false;
            c.state = State::established;
        }
    }

    Verdict connect(const Ends& client, const Segment& segment) {
        using observe::DropReason;
        const auto service = services_.find(service_key(client));
        if (service == services_.end()) return {Verdict::refuse, nullptr, DropReason::port_closed};
        if (segment.ttl <= 1) return {Verdict::drop, nullptr, DropReason::ttl_exceeded};
        if (client.protocol == 6 && !segment.opens()) return {Verdict::refuse, nullptr, DropReason::no_connection};
        if (segment.damaged) return {Verdict::drop, nullptr, DropReason::l4_checksum_bad};
        bool any = false;
        for (const auto& [address, backend] : backends_) {
            any = any || (address.family == client.source.family && backend.weight > 0);
        }
        if (!any) return {Verdict::refuse, nullptr, DropReason::no_backend};
        auto connection = std::make_shared<NatConnection>();
        connection->client = client;
        connection->state = client.protocol == 17 ? State::one_way : State::opening;
        connection->last = now;
        by_client_[client] = connection;
        return {Verdict::open, connection};
    }

    std::map<Ends, ConnectionPtr> by_client_;
    std::map<Ends, ConnectionPtr> by_backend_;
    std::set<Ends> retired_;  ///< nothing can be said of them any more
    std::map<std::tuple<IpAddress, std::uint8_t, std::uint16_t>, Service> services_;
    std::map<IpAddress, Backend> backends_;
    std::uint64_t lives_ = 0;
    std::uint64_t applied_ = 0;  ///< when limits may have changed
};

}  // namespace guideway::worker::testing
