#include "dataplane/net/side_rules.h"

#include <algorithm>
#include <cstring>
#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <span>
#include <sys/socket.h>

#include "dataplane/net/leftovers.h"

namespace guideway::net {
namespace {

using RuleBytes = std::span<const std::uint8_t>;

std::string name_of(RuleBytes bytes) { return {bytes.begin(), std::ranges::find(bytes, std::uint8_t{0})}; }

std::uint32_t word_of(RuleBytes bytes) {
    std::uint32_t value = 0;
    if (bytes.size() == sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
    return value;
}

void take_attribute(unsigned type, RuleBytes bytes, FoundRule& found) {
    SideRule& rule = found.rule;
    switch (type) {
        case FRA_PRIORITY:
            rule.priority = word_of(bytes);
            break;
        case FRA_TABLE:
            rule.table = word_of(bytes);
            break;
        case FRA_FWMARK:
            rule.mark = word_of(bytes);
            break;
        case FRA_IIFNAME:
            rule.in = name_of(bytes);
            break;
        case FRA_OIFNAME:
            rule.out = name_of(bytes);
            break;
        case FRA_PROTOCOL:
            found.ours = bytes.size() == 1 && bytes[0] == kOurProtocol;
            break;
        case FRA_SRC: {
            IpAddress address;
            address.family = rule.family;
            if (bytes.size() != address.bits() / 8) break;
            std::ranges::copy(bytes, address.bytes.begin());
            rule.source = address;
            break;
        }
        default:
            break;
    }
}

}  // namespace

std::vector<SideRule> rules_of(const KernelSide& side, IpFamily family) {
    std::vector<SideRule> list;
    const auto add = [&](SideRule rule) {
        rule.family = family;
        rule.priority = kSidePriority;
        rule.table = side.table;
        list.push_back(rule);
        rule.priority = kSidePriority + 1;
        rule.table = 0;
        list.push_back(rule);
    };
    for (const std::string& twin : side.twins) {
        SideRule rule;
        rule.in = twin;
        add(rule);
        rule.in.clear();
        rule.out = twin;
        add(rule);
    }
    SideRule made_here;
    made_here.in = "lo";
    for (const IpAddress& address : side.addresses) {
        if (address.family != family || address.is_link_local())
            continue;  // link-local ones say nothing without an interface
        SideRule rule = made_here;
        rule.source = address;
        add(rule);
    }
    SideRule marked = made_here;
    marked.mark = side.table;
    add(marked);
    std::ranges::sort(list);
    return list;
}

std::optional<FoundRule> rule_in(const nlmsghdr& message) {
    fib_rule_hdr body;
    if (message.nlmsg_type != RTM_NEWRULE || message.nlmsg_len < NLMSG_LENGTH(sizeof body)) return std::nullopt;
    const auto* start = reinterpret_cast<const std::uint8_t*>(&message);
    std::memcpy(&body, start + NLMSG_LENGTH(0), sizeof body);
    if (body.family != AF_INET && body.family != AF_INET6) return std::nullopt;
    FoundRule found;
    found.rule.family = body.family == AF_INET ? IpFamily::ipv4 : IpFamily::ipv6;
    found.rule.table = body.table;
    const std::size_t at = std::min<std::size_t>(NLMSG_ALIGN(NLMSG_LENGTH(sizeof body)), message.nlmsg_len);
    for (RuleBytes left(start + at, message.nlmsg_len - at); left.size() >= sizeof(rtattr);) {
        rtattr head;
        std::memcpy(&head, left.data(), sizeof head);
        if (head.rta_len < sizeof head || head.rta_len > left.size()) break;
        take_attribute(head.rta_type, left.subspan(RTA_LENGTH(0), head.rta_len - RTA_LENGTH(0)), found);
        left = left.subspan(std::min<std::size_t>(RTA_ALIGN(head.rta_len), left.size()));
    }
    if (body.action != FR_ACT_TO_TBL) found.rule.table = 0;
    return found;
}

}  // namespace guideway::net
