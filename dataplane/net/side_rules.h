// SideRules: the kernel's rules by which clients' and nodes' side have a table of routes each (`ip rule`), and no other.
//
// Terms. Of a side is, for the kernel: what comes in by one of its twins, what a program sends that is bound to one of its twins or to one of
// its own addresses, or that carries the side's mark (SO_MARK, the number of its table). For all that two rules: the side's table, and where
// that has no route: unreachable, so that the main table is never asked. Rules of ours carry kOurProtocol; others' are left alone.
//
// Worked example: nodes' side with twin gw-node0, 10.0.2.1 and table 1002:
//   7100: from all iif gw-node0 lookup 1002         7101: from all iif gw-node0 unreachable
//   7100: from 10.0.2.1 iif lo lookup 1002          7101: from 10.0.2.1 iif lo unreachable
//   7100: from all fwmark 0x3ea iif lo lookup 1002  ... and so for oif gw-node0, and for IPv6.
// A packet of a client's network for 10.0.2.11 finds no route but those of table 1001.
//
// Why not a VRF device: rules are in every kernel with policy routing, VRFs are a module of some; programs that know nothing of VRFs (sshd, a
// routing daemon) would not hear what comes by one; and one mark reaches all twins of a side.
// Pure. Thread contract: any.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/contract/ip_address.h"

struct nlmsghdr;

namespace guideway::net {

struct SideRule {
    IpFamily family = IpFamily::ipv4;
    std::uint32_t priority = 0;
    std::string in;                   ///< interface that the packet came by; "lo": it was made here; empty: any
    std::string out;                  ///< interface that its socket is bound to
    std::optional<IpAddress> source;  ///< none: any
    std::uint32_t mark = 0;           ///< 0: any
    std::uint32_t table = 0;          ///< 0: unreachable
    friend auto operator<=>(const SideRule&, const SideRule&) = default;
};

/// Behind the kernel's own addresses (0), in front of the main table (32766).
inline constexpr std::uint32_t kSidePriority = 7100;

/// A side as the kernel is to know it.
struct KernelSide {
    std::uint32_t table = 0;
    std::vector<std::string> twins;
    std::vector<IpAddress> addresses;
};

/// Those of one side, for one family, sorted.
std::vector<SideRule> rules_of(const KernelSide& side, IpFamily family);

/// A rule of the kernel as far as it concerns us: who made it, and what it says.
struct FoundRule {
    SideRule rule;
    bool ours = false;
};
/// Of an RTM_NEWRULE message; none where it is none, or of another family.
std::optional<FoundRule> rule_in(const nlmsghdr& message);

}  // namespace guideway::net
