#include "dataplane/net/rtnetlink.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace guideway::net {
namespace {

std::string error_text(int error) { return std::strerror(error); }

unsigned char family_of(const IpAddress& address) { return address.is_v4() ? AF_INET : AF_INET6; }

constexpr int kReceiveBuffer = 4 << 20;  ///< so that bursts of changes seldom force a new dump

}  // namespace

/// A message under construction: header, fixed part, attributes.
class Rtnetlink::Request {
  public:
    Request(std::uint16_t type, std::uint16_t flags) {
        header().nlmsg_len = NLMSG_LENGTH(0);
        header().nlmsg_type = type;
        header().nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    }
    nlmsghdr& header() { return *reinterpret_cast<nlmsghdr*>(bytes_.data()); }
    template <class Body>
    void body(const Body& content) {
        std::memcpy(bytes_.data() + NLMSG_LENGTH(0), &content, sizeof content);
        header().nlmsg_len = NLMSG_LENGTH(sizeof content);
    }
    void attribute(std::uint16_t type, const void* data, std::size_t size) {
        const std::size_t at = NLMSG_ALIGN(header().nlmsg_len);
        const rtattr head{static_cast<std::uint16_t>(RTA_LENGTH(size)), type};
        std::memcpy(bytes_.data() + at, &head, sizeof head);
        std::memcpy(bytes_.data() + at + RTA_LENGTH(0), data, size);
        header().nlmsg_len = static_cast<std::uint32_t>(at + RTA_LENGTH(size));
    }
    void attribute(std::uint16_t type, const IpAddress& address) {
        attribute(type, address.bytes.data(), address.bits() / 8);
    }
    void attribute(std::uint16_t type, std::uint32_t value) { attribute(type, &value, sizeof value); }

  private:
    alignas(nlmsghdr) std::array<std::byte, 512> bytes_{};
};

Rtnetlink::~Rtnetlink() {
    if (fd_ >= 0) close(fd_);
}

std::optional<std::string> Rtnetlink::open(std::uint32_t groups) {
    fd_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd_ < 0) return "netlink socket: " + error_text(errno);
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer);
    const timeval patience{2, 0};  // an answer of the kernel does not take so long
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = groups;
    if (bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return "netlink socket: " + error_text(errno);
    }
    return std::nullopt;
}

std::optional<std::string> Rtnetlink::transact(Request& request) {
    request.header().nlmsg_flags |= NLM_F_ACK;
    request.header().nlmsg_seq = ++sequence_;
    if (send(fd_, &request.header(), request.header().nlmsg_len, 0) < 0) return error_text(errno);
    alignas(nlmsghdr) std::array<std::byte, 8192> buffer;
    for (;;) {
        const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return error_text(errno);
        auto length = static_cast<std::uint32_t>(got);
        for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(message, length);
             message = NLMSG_NEXT(message, length)) {
            if (message->nlmsg_type != NLMSG_ERROR || message->nlmsg_seq != sequence_) continue;
            const int error = static_cast<const nlmsgerr*>(NLMSG_DATA(message))->error;
            if (error == 0) return std::nullopt;
            return error_text(-error);
        }
    }
}

std::optional<std::string> Rtnetlink::add_address(unsigned ifindex, const IpPrefix& address, bool with_route) {
    Request request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
    ifaddrmsg body{};
    body.ifa_family = family_of(address.address);
    body.ifa_prefixlen = address.length;
    body.ifa_index = ifindex;
    const std::uint32_t flags = IFA_F_NODAD | (with_route ? 0U : std::uint32_t{IFA_F_NOPREFIXROUTE});
    body.ifa_flags = IFA_F_NODAD;  // all that fits: the attribute has the others
    if (address.address.is_link_local()) body.ifa_scope = RT_SCOPE_LINK;
    request.body(body);
    request.attribute(IFA_LOCAL, address.address);
    request.attribute(IFA_ADDRESS, address.address);
    if (address.address.is_v4() && address.length < 31) {
        const std::uint32_t host_bits = 0xffffffffU >> address.length;
        request.attribute(IFA_BROADCAST, IpAddress::v4(address.address.v4_value() | host_bits));
    }
    request.attribute(IFA_PROTO, &kOurProtocol, sizeof kOurProtocol);
    request.attribute(IFA_FLAGS, flags);
    return transact(request);
}

std::optional<std::string> Rtnetlink::remove_address(unsigned ifindex, const IpPrefix& address) {
    Request request(RTM_DELADDR, 0);
    ifaddrmsg body{};
    body.ifa_family = family_of(address.address);
    body.ifa_prefixlen = address.length;
    body.ifa_index = ifindex;
    request.body(body);
    request.attribute(IFA_LOCAL, address.address);
    return transact(request);
}

std::optional<std::string> Rtnetlink::add_route(unsigned ifindex, const OwnRoute& route, RouteMark mark) {
    // Two twins may have the same network on their links.
    const int beside = route.via.is_unspecified() ? NLM_F_APPEND : NLM_F_REPLACE;
    return change_route(RTM_NEWROUTE, static_cast<std::uint16_t>(NLM_F_CREATE | beside), ifindex, route, mark);
}

std::optional<std::string> Rtnetlink::remove_route(unsigned ifindex, const OwnRoute& route, RouteMark mark) {
    return change_route(RTM_DELROUTE, 0, ifindex, route, mark);
}

std::optional<std::string> Rtnetlink::change_route(std::uint16_t type, std::uint16_t flags, unsigned ifindex,
                                                   const OwnRoute& route, RouteMark mark) {
    const bool on_link = route.via.is_unspecified();
    Request request(type, flags);
    rtmsg body{};
    body.rtm_family = family_of(route.via);
    body.rtm_dst_len = route.to.length;
    body.rtm_table = RT_TABLE_UNSPEC;  // the attribute says it
    body.rtm_protocol = mark.protocol;
    body.rtm_scope = on_link && route.via.is_v4() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    body.rtm_type = RTN_UNICAST;
    request.body(body);
    request.attribute(RTA_TABLE, route.table);
    if (route.to.length > 0) request.attribute(RTA_DST, route.to.address);
    if (!on_link) request.attribute(RTA_GATEWAY, route.via);
    request.attribute(RTA_OIF, std::uint32_t{ifindex});
    if (mark.metric != 0) request.attribute(RTA_PRIORITY, mark.metric);
    return transact(request);
}

std::optional<std::string> Rtnetlink::add_rule(const SideRule& rule) {
    return change_rule(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule);
}

std::optional<std::string> Rtnetlink::remove_rule(const SideRule& rule) { return change_rule(RTM_DELRULE, 0, rule); }

std::optional<std::string> Rtnetlink::change_rule(std::uint16_t type, std::uint16_t flags, const SideRule& rule) {
    Request request(type, flags);
    fib_rule_hdr body{};
    body.family = rule.family == IpFamily::ipv4 ? AF_INET : AF_INET6;
    body.src_len = rule.source ? static_cast<std::uint8_t>(rule.source->bits()) : std::uint8_t{0};
    body.action = rule.table == 0 ? FR_ACT_UNREACHABLE : FR_ACT_TO_TBL;
    request.body(body);
    request.attribute(FRA_PRIORITY, rule.priority);
    request.attribute(FRA_PROTOCOL, &kOurProtocol, sizeof kOurProtocol);
    if (rule.table != 0) request.attribute(FRA_TABLE, rule.table);
    const auto name = [&](std::uint16_t what, const std::string& text) {
        if (!text.empty()) request.attribute(what, text.c_str(), text.size() + 1);
    };
    name(FRA_IIFNAME, rule.in);
    name(FRA_OIFNAME, rule.out);
    if (rule.source) request.attribute(FRA_SRC, *rule.source);
    if (rule.mark != 0) {
        request.attribute(FRA_FWMARK, rule.mark);
        request.attribute(FRA_FWMASK, ~std::uint32_t{0});
    }
    return transact(request);
}

std::optional<std::string> Rtnetlink::set_alias(unsigned ifindex, std::string_view alias) {
    Request request(RTM_SETLINK, 0);
    ifinfomsg body{};
    body.ifi_index = static_cast<int>(ifindex);
    request.body(body);
    request.attribute(IFLA_IFALIAS, alias.data(), alias.size());
    return transact(request);
}

std::optional<std::string> Rtnetlink::resolve(unsigned ifindex, const IpAddress& address, Resolve how) {
    Request request(RTM_NEWNEIGH, NLM_F_CREATE);
    ndmsg body{};
    body.ndm_family = family_of(address);
    body.ndm_ifindex = static_cast<int>(ifindex);
    body.ndm_state = NUD_NONE;
    if (how == Resolve::once) body.ndm_flags = NTF_USE;
    request.body(body);
    request.attribute(NDA_DST, address);
    if (how == Resolve::managed) request.attribute(NDA_FLAGS_EXT, std::uint32_t{NTF_EXT_MANAGED});
    return transact(request);
}

Rtnetlink::Dump Rtnetlink::read_all(std::uint16_t type, const Handler& handler) {
    Request request(type, NLM_F_DUMP);
    if (type == RTM_GETNEXTHOP) {
        request.body(nhmsg{});  // of these requests the kernel wants the whole fixed part
    } else {
        request.body(rtgenmsg{AF_UNSPEC});
    }
    request.header().nlmsg_seq = ++sequence_;
    if (send(fd_, &request.header(), request.header().nlmsg_len, 0) < 0) return Dump::some;
    alignas(nlmsghdr) static thread_local std::array<std::byte, 65536> buffer;
    bool complete = true;
    for (;;) {
        const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return Dump::some;
        auto length = static_cast<std::uint32_t>(got);
        for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(message, length);
             message = NLMSG_NEXT(message, length)) {
            if (message->nlmsg_seq != sequence_) continue;
            if ((message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) complete = false;
            if (message->nlmsg_type == NLMSG_DONE) return complete ? Dump::all : Dump::some;
            if (message->nlmsg_type == NLMSG_ERROR) return Dump::refused;
            handler(*message);
        }
    }
}

Rtnetlink::Follow Rtnetlink::follow(const Handler& handler) {
    alignas(nlmsghdr) static thread_local std::array<std::byte, 65536> buffer;
    Follow result = Follow::nothing;
    for (;;) {
        const ssize_t got = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno == ENOBUFS ? Follow::lost : result;
        if (got == 0) return result;
        if (static_cast<std::size_t>(got) > buffer.size()) return Follow::lost;
        result = Follow::some;
        auto length = static_cast<std::uint32_t>(got);
        for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(message, length);
             message = NLMSG_NEXT(message, length)) {
            handler(*message);
        }
    }
}

}  // namespace guideway::net
