#include "dataplane/net/leftovers.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <span>
#include <sys/socket.h>

namespace guideway::net {
namespace {

using Bytes = std::span<const std::uint8_t>;

/// A message's fixed part and the attributes behind it; what does not fit is not there.
template <class Body>
class Message {
  public:
    explicit Message(const nlmsghdr& message) {
        if (message.nlmsg_len < NLMSG_LENGTH(sizeof(Body))) return;
        const auto* start = reinterpret_cast<const std::uint8_t*>(&message);
        std::memcpy(&body_, start + NLMSG_LENGTH(0), sizeof body_);
        whole_ = true;
        const std::size_t at = std::min<std::size_t>(NLMSG_ALIGN(NLMSG_LENGTH(sizeof(Body))), message.nlmsg_len);
        rest_ = Bytes(start + at, message.nlmsg_len - at);
    }
    bool whole() const { return whole_; }
    const Body& body() const { return body_; }

    Bytes attribute(unsigned type) const {
        for (Bytes left = rest_; left.size() >= sizeof(rtattr);) {
            rtattr head;
            std::memcpy(&head, left.data(), sizeof head);
            if (head.rta_len < sizeof head || head.rta_len > left.size()) break;
            if (head.rta_type == type) return left.subspan(RTA_LENGTH(0), head.rta_len - RTA_LENGTH(0));
            left = left.subspan(std::min<std::size_t>(RTA_ALIGN(head.rta_len), left.size()));
        }
        return {};
    }
    std::optional<IpAddress> address(unsigned type, unsigned char family) const {
        const Bytes bytes = attribute(type);
        IpAddress address;
        address.family = family == AF_INET ? IpFamily::ipv4 : IpFamily::ipv6;
        if ((family != AF_INET && family != AF_INET6) || bytes.size() != address.bits() / 8) return std::nullopt;
        std::copy(bytes.begin(), bytes.end(), address.bytes.begin());
        return address;
    }
    std::optional<std::uint32_t> number(unsigned type) const {
        const Bytes bytes = attribute(type);
        std::uint32_t value = 0;
        if (bytes.size() != sizeof value) return std::nullopt;
        std::memcpy(&value, bytes.data(), sizeof value);
        return value;
    }
    std::string text(unsigned type) const {
        const Bytes bytes = attribute(type);
        return {bytes.begin(), std::find(bytes.begin(), bytes.end(), 0)};
    }

  private:
    Body body_{};
    Bytes rest_;
    bool whole_ = false;
};

}  // namespace

std::optional<IpPrefix> own_address_in(const nlmsghdr& message, unsigned ifindex) {
    const Message<ifaddrmsg> opened(message);
    if (message.nlmsg_type != RTM_NEWADDR || !opened.whole() || opened.body().ifa_index != ifindex) return std::nullopt;
    const Bytes mark = opened.attribute(IFA_PROTO);
    if (mark.size() != 1 || mark[0] != kOurProtocol) return std::nullopt;
    auto address = opened.address(IFA_LOCAL, opened.body().ifa_family);
    if (!address) address = opened.address(IFA_ADDRESS, opened.body().ifa_family);
    if (!address || opened.body().ifa_prefixlen > address->bits()) return std::nullopt;
    return IpPrefix{*address, opened.body().ifa_prefixlen};
}

bool brings_route(const nlmsghdr& message) {
    const Message<ifaddrmsg> opened(message);
    return opened.whole() &&
           (opened.number(IFA_FLAGS).value_or(opened.body().ifa_flags) & std::uint32_t{IFA_F_NOPREFIXROUTE}) == 0;
}

std::optional<OwnRoute> own_route_in(const nlmsghdr& message, unsigned ifindex, RouteMark mark) {
    const Message<rtmsg> opened(message);
    if (message.nlmsg_type != RTM_NEWROUTE || !opened.whole()) return std::nullopt;
    const rtmsg& body = opened.body();
    if (body.rtm_protocol != mark.protocol || (body.rtm_flags & RTM_F_CLONED) != 0) return std::nullopt;
    const Bytes link = opened.attribute(RTA_OIF);
    if (link.size() != sizeof ifindex || std::memcmp(link.data(), &ifindex, sizeof ifindex) != 0) return std::nullopt;
    if (body.rtm_family != AF_INET && body.rtm_family != AF_INET6) return std::nullopt;
    IpAddress none;
    none.family = body.rtm_family == AF_INET ? IpFamily::ipv4 : IpFamily::ipv6;
    const IpAddress via = opened.address(RTA_GATEWAY, body.rtm_family).value_or(none);
    if (body.rtm_dst_len > via.bits()) return std::nullopt;
    OwnRoute route{{via, body.rtm_dst_len}, via, opened.number(RTA_TABLE).value_or(body.rtm_table)};
    route.to.address.bytes.fill(0);
    if (body.rtm_dst_len > 0) {
        const auto destination = opened.address(RTA_DST, body.rtm_family);
        if (!destination) return std::nullopt;
        route.to.address = *destination;
    }
    return route;
}

std::optional<TableUse> table_use_in(const nlmsghdr& message) {
    const Message<rtmsg> opened(message);
    if (message.nlmsg_type != RTM_NEWROUTE || !opened.whole()) return std::nullopt;
    const auto link = opened.number(RTA_OIF);
    if (!link) return std::nullopt;
    return TableUse{opened.number(RTA_TABLE).value_or(opened.body().rtm_table), *link};
}

std::optional<std::string> twin_in(const nlmsghdr& message) {
    const Message<ifinfomsg> opened(message);
    if (message.nlmsg_type != RTM_NEWLINK || !opened.whole() || opened.text(IFLA_IFALIAS) != kTwinAlias) {
        return std::nullopt;
    }
    return opened.text(IFLA_IFNAME);
}

}  // namespace guideway::net
