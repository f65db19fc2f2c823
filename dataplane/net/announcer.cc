#include "dataplane/net/announcer.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <pthread.h>
#include <set>
#include <utility>

#include <spdlog/spdlog.h>

#include "dataplane/packet/announcement.h"

namespace guideway::net {
namespace {

constexpr std::chrono::milliseconds kTick{50};

std::string text_of(const snapshot::MacAddress& mac) {
    std::array<char, 18> text{};
    std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                  mac[5]);
    return text.data();
}

std::set<IpAddress> snat_addresses_of(const snapshot::ForwardingSnapshot& forwarding) {
    std::set<IpAddress> list;
    for (const std::uint32_t address : forwarding.snat_v4) list.insert(packet::to_contract(address));
    for (const auto& address : forwarding.snat_v6) list.insert(packet::to_contract(address));
    return list;
}

std::vector<IpAddress> addresses_of(const snapshot::ForwardingSnapshot& forwarding,
                                    const std::set<IpAddress>& snat_addresses) {
    std::vector<IpAddress> list;
    for (const auto& service : forwarding.services.services()) list.push_back(service.vip);
    list.insert(list.end(), snat_addresses.begin(), snat_addresses.end());
    return list;
}

}  // namespace

Announcer::Announcer(AnnounceSettings settings, std::vector<std::string> port_names, snapshot::Publisher& publisher,
                     KernelPath& kernel_path, std::vector<worker::ClaimQueue*> claims,
                     std::function<std::uint64_t(std::size_t port)> moves,
                     std::function<bool(std::size_t port)> carries)
    : plan_(std::move(settings)),
      port_names_(std::move(port_names)),
      publisher_(publisher),
      kernel_path_(kernel_path),
      claims_(std::move(claims)),
      moves_(std::move(moves)),
      moves_seen_(port_names_.size(), 0),
      carries_(std::move(carries)) {}

Announcer::~Announcer() { stop(); }

void Announcer::start() {
    thread_ = std::thread([this] { run(); });
    pthread_setname_np(thread_.native_handle(), "gw-announcer");
}

void Announcer::stop() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    woken_.notify_all();
    thread_.join();
}

void Announcer::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        lock.unlock();
        const auto now = std::chrono::steady_clock::now();
        follow(now);
        follow_moves(now);
        hear(now);
        take_up_again(now);
        send(now);
        show(now);
        lock.lock();
        woken_.wait_for(lock, kTick, [this] { return stopping_; });
    }
}

void Announcer::follow(AnnouncePlan::TimePoint now) {
    auto forwarding = publisher_.current_forwarding();
    auto routing = publisher_.current_routing();
    std::vector<bool> carrying;
    for (std::size_t port = 0; port < port_names_.size(); ++port) carrying.push_back(carries_(port));
    if (forwarding == forwarding_ && routing == routing_ && carrying == carrying_) return;
    forwarding_ = std::move(forwarding);
    routing_ = std::move(routing);
    carrying_ = std::move(carrying);
    const std::set<IpAddress> of_nodes = snat_addresses_of(*forwarding_);
    const auto served_on = [this](std::uint16_t port, const IpAddress& address) {
        return forwarding_->served_on(port, address);
    };
    plan_.update(addresses_of(*forwarding_, of_nodes), *routing_, now, served_on, of_nodes, carrying_);
}

void Announcer::follow_moves(AnnouncePlan::TimePoint now) {
    for (std::size_t port = 0; port < moves_seen_.size() && port < routing_->ports.size(); ++port) {
        const std::uint64_t moves = moves_(port);
        if (std::exchange(moves_seen_[port], moves) == moves) continue;
        plan_.again(static_cast<std::uint16_t>(port), routing_->ports[port].addresses, now);
    }
}

void Announcer::hear(AnnouncePlan::TimePoint now) {
    for (worker::ClaimQueue* queue : claims_) {
        while (const auto heard = queue->pop()) {
            const auto told = plan_.claimed(heard->address, heard->mac, heard->port, now);
            if (told == AnnouncePlan::Told::conflict) {
                spdlog::warn(
                    "address conflict: {} is in use here, and {} on the link of port '{}' claims it: two machines have "
                    "the "
                    "address, and clients reach the one or the other; find out which is not to have it",
                    heard->address.to_string(), text_of(heard->mac), port_names_[heard->port]);
            } else if (told == AnnouncePlan::Told::yielded) {
                spdlog::error(
                    "address yielded: {} on the link of port '{}' goes on claiming {}: nobody there is told any more "
                    "that "
                    "it is here; packets that come all the same are forwarded, and it is taken up again when nobody "
                    "else has it",
                    text_of(heard->mac), port_names_[heard->port], heard->address.to_string());
            }
        }
    }
}

void Announcer::take_up_again(AnnouncePlan::TimePoint now) {
    for (const snapshot::Place& place : plan_.resume(now)) {
        spdlog::warn(
            "address resumed: nobody on the link of port '{}' has {} any more: it is answered for and announced",
            port_names_[place.port], place.address.to_string());
    }
    // Before anything of it is sent: who asks because of an announcement is to get an answer.
    if (auto yielded = plan_.yielded(); yielded != yielded_) {
        publisher_.show_yielded(yielded);
        yielded_ = std::move(yielded);
    }
}

void Announcer::send(AnnouncePlan::TimePoint now) {
    while (const auto item = plan_.next(now)) {
        if (item->port >= routing_->ports.size()) continue;
        std::array<std::uint8_t, packet::kAnnouncementCapacity> frame;
        const auto form = item->number % 2 == 0 ? packet::ArpForm::request : packet::ArpForm::reply;
        const snapshot::MacAddress& mac = routing_->ports[item->port].mac;
        const std::uint32_t length = item->probe ? packet::build_probe(frame, item->address, mac)
                                                 : packet::build_announcement(frame, item->address, mac, form);
        if (!kernel_path_.send(item->port, {frame.data(), length})) {
            plan_.put_back(*item, now);
            return;
        }
        ++(item->probe ? probes_ : sent_);
    }
}

void Announcer::show(AnnouncePlan::TimePoint now) {
    const std::uint64_t unix_now = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count());
    contract::AnnouncementStatus status;
    status.addresses = plan_.pairs();
    status.sent = sent_;
    status.claims_heard = plan_.claims();
    status.probes = probes_;
    for (const Conflict& one : plan_.conflicts(now)) {
        const auto ago = std::chrono::duration_cast<std::chrono::seconds>(now - one.last).count();
        status.conflicts.push_back({one.address, text_of(one.mac), port_names_[one.port], one.claims,
                                    unix_now - static_cast<std::uint64_t>(ago), one.yielded});
    }
    const std::lock_guard lock(mutex_);
    status_ = std::move(status);
}

contract::AnnouncementStatus Announcer::status() const {
    const std::lock_guard lock(mutex_);
    return status_;
}

}  // namespace guideway::net
