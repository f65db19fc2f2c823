#include "dataplane/net/bond.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <span>
#include <utility>

#include <rte_alarm.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_eth_bond.h>
#include <rte_eth_bond_8023ad.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <spdlog/spdlog.h>

#include "dataplane/net/linux_interface.h"

namespace guideway::net {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kLookEachUs = 10'000;
constexpr std::uint32_t kDriverLooksEachMs = 20;  ///< for LACPDUs that came: one a member each time
constexpr auto kSilenceTold = 10s;

/// Whose member an ethdev is: the driver's callback gives nothing else. Written while no member receives.
struct BondOfDevice {
    Bond* bond = nullptr;
    std::size_t member = 0;
};
std::array<BondOfDevice, RTE_MAX_ETHPORTS> bonds_of_devices;

std::string bond_error(int error) { return rte_strerror(error < 0 ? -error : error); }

std::string mac_text(const snapshot::MacAddress& mac) {
    std::array<char, 18> text{};
    std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                  mac[5]);
    return text.data();
}

}  // namespace

Bond::Bond(std::string port, config::BondConfig settings)
    : port_(std::move(port)),
      settings_(std::move(settings)),
      active_backup_(settings_.members.size(), settings_.primary, std::chrono::milliseconds(settings_.up_delay_ms)) {}

Bond::~Bond() {
    unwatch();
    for (const Member& member : members_) {
        bonds_of_devices[member.ethdev] = {};
        rte_eth_dev_stop(member.ethdev);
        rte_eth_dev_close(member.ethdev);
        if (!member.vdev.empty()) rte_eal_hotplug_remove("vdev", member.vdev.c_str());
    }
}

void Bond::add(std::string name, std::uint16_t ethdev, std::string vdev, const LinuxInterface* interface) {
    Member member;
    member.name = std::move(name);
    member.ethdev = ethdev;
    member.vdev = std::move(vdev);
    member.interface = interface;
    rte_ether_addr mac{};
    if (rte_eth_macaddr_get(ethdev, &mac) == 0) std::copy_n(mac.addr_bytes, member.mac.size(), member.mac.begin());
    bonds_of_devices[ethdev] = {this, members_.size()};
    members_.push_back(std::move(member));
}

std::optional<std::string> Bond::create(std::string& device, std::uint16_t& ethdev) {
    // The driver calls for what AF_PACKET cannot do and does not need (all multicast: it is promiscuous); what fails is told here.
    rte_log_set_level_pattern("pmd.net.bonding", RTE_LOG_CRIT);
    const std::string name = "net_bonding_" + port_;
    const int socket = rte_eth_dev_socket_id(members_.front().ethdev);
    const int made =
        rte_eth_bond_create(name.c_str(), BONDING_MODE_8023AD, static_cast<std::uint8_t>(std::max(socket, 0)));
    if (made < 0) return "DPDK could not make the bonding device: " + bond_error(made);
    device = name;
    ethdev = ethdev_ = static_cast<std::uint16_t>(made);
    rte_eth_bond_8023ad_conf conf{};
    int error = rte_eth_bond_8023ad_conf_get(ethdev_, &conf);
    conf.slowrx_cb = &Bond::slow_frame;
    conf.update_timeout_ms = kDriverLooksEachMs;
    if (error == 0) error = rte_eth_bond_8023ad_setup(ethdev_, &conf);
    if (error == 0) error = rte_eth_bond_xmit_policy_set(ethdev_, BALANCE_XMIT_POLICY_LAYER34);
    if (error != 0) return "setting the bonding device up: " + bond_error(error);
    for (const Member& member : members_) {
        if (rte_eth_bond_slave_add(ethdev_, member.ethdev) != 0)
            return "member " + member.name +
                   ": DPDK's bonding device does not take it: it must be part of no other bond, and be able to do what "
                   "the first member does (MTU, receive and transmit offloads, RSS)";
    }
    return std::nullopt;
}

std::optional<std::string> Bond::watch(const snapshot::MacAddress& mac, rte_mempool* pool) {
    pool_ = pool;
    // The driver makes them so when their link comes up, which may be later.
    for (const Member& member : members_) {
        // Who has no such switch hears everything as it is.
        if (const int error = rte_eth_promiscuous_enable(member.ethdev); error != 0 && error != -ENOTSUP) {
            spdlog::warn(
                "port '{}': member {} cannot be made promiscuous ({}): while it carries, frames to the port's MAC "
                "address "
                "or "
                "to groups may not be received by it",
                port_, member.name, bond_error(error));
        }
    }
    if (settings_.mode == config::BondMode::lacp) lacp_.emplace(mac, members_.size(), settings_.fast);
    const int error = rte_eal_alarm_set(kLookEachUs, &Bond::wake, this);
    if (error != 0) return "watching the members' links: " + bond_error(error);
    watching_ = true;
    return std::nullopt;
}

void Bond::unwatch() {
    // Waits for one that is under way, and takes the one that this sets.
    if (watching_) rte_eal_alarm_cancel(&Bond::wake, this);
    watching_ = false;
}

void Bond::wake(void* self) {
    auto* bond = static_cast<Bond*>(self);
    try {
        bond->look(Clock::now());
    } catch (const std::exception&) {
        // Memory for a line of the log, most likely. Nothing may pass DPDK's C code, and the next look is soon.
    }
    const int error = rte_eal_alarm_set(kLookEachUs, &Bond::wake, bond);
    if (error != 0) {
        spdlog::critical(
            "port '{}': the members' links are not watched any more ({}): who carries now goes on carrying, with or "
            "without a link; restart the dataplane",
            bond->port_, bond_error(error));
    }
}

bool Bond::has_link(const Member& member) const {
    if (member.interface != nullptr) return member.interface->has_carrier();
    rte_eth_link link{};
    return rte_eth_link_get_nowait(member.ethdev, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

void Bond::look(Clock::time_point now) {
    const std::lock_guard lock(mutex_);
    std::vector<bool> up;
    for (Member& member : members_) {
        member.link_up = has_link(member);
        up.push_back(member.link_up);
    }
    if (lacp_) {
        for (std::size_t i = 0; i < members_.size(); ++i) lacp_->set_link(i, up[i], now);
        lacp_->tick(now);
        for (std::size_t i = 0; i < members_.size(); ++i) choose(i, lacp_->collecting(i), lacp_->distributing(i));
        for (std::size_t i = 0; i < members_.size(); ++i) {
            speak(i, now);
            listen_for_silence(i, now);
        }
    } else {
        const auto active = active_backup_.decide(up, now);
        for (std::size_t i = 0; i < members_.size(); ++i) choose(i, i == active, i == active);
    }
    // What is told may fail for want of memory: what is counted does not depend on it.
    const auto before = seen_;
    bool moved = false;
    for (std::size_t i = 0; i < members_.size(); ++i) {
        moved = moved || seen_[i].carries != members_[i].carries;
        seen_[i] = {members_[i].link_up, members_[i].carries};
    }
    if (moved) moves_.fetch_add(1, std::memory_order_relaxed);
    tell(before);
}

/// Asked anew each time: the driver forgets what was chosen of a member whose link it saw go and come.
void Bond::choose(std::size_t index, bool collect, bool carry) {
    Member& member = members_[index];
    const int collects = rte_eth_bond_8023ad_ext_collect_get(ethdev_, member.ethdev);
    const int carries = rte_eth_bond_8023ad_ext_distrib_get(ethdev_, member.ethdev);
    if (collects < 0 || carries < 0) {  // the driver has not taken it into use (yet): nothing goes by it
        member.collects = member.carries = false;
        return;
    }
    if ((collects != 0) != collect) rte_eth_bond_8023ad_ext_collect(ethdev_, member.ethdev, collect ? 1 : 0);
    if ((carries != 0) != carry) rte_eth_bond_8023ad_ext_distrib(ethdev_, member.ethdev, carry ? 1 : 0);
    member.collects = collect;
    member.carries = carry;
}

void Bond::speak(std::size_t index, Clock::time_point now) {
    const auto pdu = lacp_->due(index, now);
    if (!pdu) return;
    rte_mbuf* frame = rte_pktmbuf_alloc(pool_);
    char* bytes = frame == nullptr ? nullptr : rte_pktmbuf_append(frame, lacp::kFrameBytes);
    if (bytes != nullptr) {
        lacp::write(
            std::span<std::uint8_t, lacp::kFrameBytes>(reinterpret_cast<std::uint8_t*>(bytes), lacp::kFrameBytes),
            members_[index].mac, *pdu);
        if (rte_eth_bond_8023ad_ext_slowtx(ethdev_, members_[index].ethdev, frame) == 0) {
            lacp_->sent(index, now);
            return;
        }
    }
    rte_pktmbuf_free(frame);  // the one before waits still, or the driver has not taken the member into use: due again
}

void Bond::slow_frame(std::uint16_t ethdev, rte_mbuf* frame) {
    const BondOfDevice& found = bonds_of_devices.at(ethdev);
    if (found.bond != nullptr) found.bond->receive(found.member, frame);
    rte_pktmbuf_free(frame);
}

void Bond::receive(std::size_t index, const rte_mbuf* frame) {
    const auto pdu =
        lacp::read({rte_pktmbuf_mtod(frame, const std::uint8_t*), std::size_t{rte_pktmbuf_data_len(frame)}});
    if (!pdu) return;
    const std::lock_guard lock(mutex_);
    Member& member = members_[index];
    if (lacp_) {
        lacp_->receive(index, *pdu, Clock::now());
    } else if (!std::exchange(member.warned, true)) {
        spdlog::warn(
            "port '{}': the switch at member {} ({}) speaks LACP, and the bond's mode is \"active-backup\": such a "
            "switch "
            "may forward nothing; take \"lacp\", or two ordinary ports of the switch",
            port_, member.name, mac_text(pdu->actor.system));
    }
}

void Bond::listen_for_silence(std::size_t index, Clock::time_point now) {
    Member& member = members_[index];
    if (!member.link_up || lacp_->partner(index)) {
        member.silent_since = now;
        member.warned = false;
    } else if (member.silent_since == Clock::time_point{}) {
        member.silent_since = now;
    } else if (!member.warned && now - member.silent_since >= kSilenceTold) {
        member.warned = true;
        spdlog::warn("port '{}': member {} has a link, but nobody speaks LACP at its other end: it carries nothing",
                     port_, member.name);
    }
}

/// What changed, and who carries now: one line.
void Bond::tell(const std::array<Seen, config::BondConfig::kMostMembers>& before) const {
    std::string changes;
    std::string carrying;
    std::size_t count = 0;
    bool lost = false;
    bool moved = false;
    for (std::size_t i = 0; i < members_.size(); ++i) {
        const Seen& then = before[i];
        const Member& now = members_[i];
        const bool link = then.link_up != now.link_up;
        moved = moved || then.carries != now.carries;
        lost = lost || (then.link_up && !now.link_up) || (then.carries && !now.carries && lacp_);
        std::string what;
        if (link) {
            what = now.link_up ? " has a link" : " lost its link";
        } else if (then.carries && !now.carries && lacp_) {
            what = lacp_->hears(i) ? " is not taken by its partner" : " hears nothing of its partner";
        }
        if (!what.empty()) changes += (changes.empty() ? "member " : ", member ") + now.name + what;
        if (now.carries) {
            carrying += (count == 0 ? "" : ", ") + now.name;
            ++count;
        }
    }
    if (changes.empty() && !moved) return;
    carrying = count == 0 ? "none carries" : carrying + (count == 1 ? " carries" : " carry");
    if (const auto system = lacp_ ? lacp_->system_carried() : std::nullopt) carrying += ", to " + mac_text(*system);
    spdlog::log(lost ? spdlog::level::warn : spdlog::level::info, "port '{}': {}{}{}", port_, changes,
                changes.empty() ? "" : "; ", carrying);
}

contract::Bond Bond::status() const {
    contract::Bond bond;
    bond.mode = settings_.mode == config::BondMode::lacp ? "lacp" : "active-backup";
    bond.moves = moves();
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < members_.size(); ++i) {
        const auto partner = lacp_ ? lacp_->partner(i) : std::nullopt;
        bond.members.push_back({members_[i].name, members_[i].link_up, members_[i].carries,
                                partner ? mac_text(partner->system) : std::string()});
    }
    return bond;
}

bool Bond::carries() const {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(members_, [](const Member& member) { return member.carries; });
}

}  // namespace guideway::net
