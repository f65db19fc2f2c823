#include "controlplane/announce/render.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>

namespace guideway::announce {
namespace {

using Passwords = std::map<std::string, std::string>;  // by the peer's name

constexpr const char* kHead =
    "# Made by `guideway-controlplane --render-bgp` from guideway.cfg; changes here are lost when it is made again.\n"
    "# It does not change when addresses come and go.\n";

unsigned metric_of(std::size_t advertisement) { return kFirstMetric + static_cast<unsigned>(advertisement); }

bool is_large(const std::string& community) { return std::count(community.begin(), community.end(), ':') == 2; }

// ------------------------------------------------------------------------------------------------------ BIRD

std::string bird_community(std::string text) {
    if (text == "no-export") return "bgp_community.add((65535,65281));";
    if (text == "no-advertise") return "bgp_community.add((65535,65282));";
    const bool large = is_large(text);
    std::replace(text.begin(), text.end(), ':', ',');
    return std::string(large ? "bgp_large_community" : "bgp_community") + ".add((" + text + "));";
}

void bird_filter(std::ostream& out, const BgpSettings& settings, const BgpPeer& peer) {
    out << "filter guideway_to_" << peer.name << " {\n";
    for (std::size_t i = 0; i < settings.advertisements.size(); ++i) {
        const Advertisement& rule = settings.advertisements[i];
        if (!BgpSettings::tells(rule, peer)) continue;
        out << "    if krt_metric = " << metric_of(i) << " then {  # " << rule.name << "\n";
        for (const std::string& community : rule.communities) out << "        " << bird_community(community) << "\n";
        if (rule.local_preference) out << "        bgp_local_pref = " << *rule.local_preference << ";\n";
        if (rule.med) out << "        bgp_med = " << *rule.med << ";\n";
        if (peer.next_hop_ipv4) {
            out << "        if net.type = NET_IP4 then bgp_next_hop = " << peer.next_hop_ipv4->to_string() << ";\n";
        }
        if (peer.next_hop_ipv6) {
            out << "        if net.type = NET_IP6 then bgp_next_hop = " << peer.next_hop_ipv6->to_string() << ";\n";
        }
        out << "        accept;\n    }\n";
    }
    out << "    reject;\n}\n";
}

void bird_peer(std::ostream& out, const BgpSettings& settings, const BgpPeer& peer, const Passwords& passwords) {
    bird_filter(out, settings, peer);
    out << "protocol bgp " << peer.name << " {\n    local";
    if (peer.source) out << " " << peer.source->to_string();
    out << " as " << (peer.local_asn != 0 ? peer.local_asn : settings.asn) << ";\n";
    out << "    neighbor " << peer.address.to_string() << " port " << peer.port << " as " << peer.asn << ";\n";
    if (settings.router_id) out << "    router id " << settings.router_id->to_string() << ";\n";
    if (const auto password = passwords.find(peer.name); password != passwords.end()) {
        out << "    password \"" << password->second << "\";\n";
    }
    if (peer.multihop != 0) out << "    multihop " << unsigned{peer.multihop} << ";\n";
    if (peer.bfd) out << "    bfd on;\n";
    if (peer.hold_seconds != 0) out << "    hold time " << peer.hold_seconds << ";\n";
    // BIRD's own are 5, 120 and 60 to 300 seconds: long for an appliance that has nothing else to tell.
    out << "    connect delay time 1;\n    connect retry time 10;\n    error wait time 1, 30;\n";
    out << "    graceful restart " << (settings.graceful_restart ? "on" : "off") << ";\n";
    if (settings.long_lived_seconds != 0) {
        out << "    long lived graceful restart on;\n    long lived stale time " << settings.long_lived_seconds
            << ";\n";
    }
    for (const IpFamily family : peer.families) {
        const bool v4 = family == IpFamily::ipv4;
        const bool elsewhere = v4 ? peer.next_hop_ipv4.has_value() : peer.next_hop_ipv6.has_value();
        out << "    " << (v4 ? "ipv4" : "ipv6") << " { table guideway" << (v4 ? 4 : 6)
            << "; import none; export filter guideway_to_" << peer.name << ";" << (elsewhere ? "" : " next hop self;")
            << " };\n";
    }
    out << "}\n";
}

std::string bird(const BgpSettings& settings, const Passwords& passwords) {
    std::ostringstream out;
    out << kHead << "# In bird.conf: include \"/etc/bird/guideway.conf\";   beside it: protocol device {}\n\n"
        << "ipv4 table guideway4;\nipv6 table guideway6;\n";
    for (const int family : {4, 6}) {
        out << "protocol kernel guideway_kernel" << family << " {\n    kernel table " << settings.table
            << ";\n    learn;\n    scan time 10;\n    ipv" << family << " { table guideway" << family
            << "; import where krt_source = " << unsigned{kRouteProtocol} << "; export none; };\n}\n";
    }
    if (std::any_of(settings.peers.begin(), settings.peers.end(), [](const BgpPeer& peer) { return peer.bfd; })) {
        const auto times = [&](const char* where) {
            out << "    " << where << " { interval " << settings.bfd_interval_ms << " ms; multiplier "
                << unsigned{settings.bfd_multiplier} << "; };\n";
        };
        out << "protocol bfd guideway_bfd {\n";
        times("interface \"*\"");
        times("multihop");
        out << "}\n";
    }
    for (const BgpPeer& peer : settings.peers) {
        out << "\n";
        bird_peer(out, settings, peer, passwords);
    }
    return out.str();
}

// ------------------------------------------------------------------------------------------------------- FRR

void frr_route_map(std::ostream& out, const BgpSettings& settings, const BgpPeer& peer, IpFamily family) {
    const bool v4 = family == IpFamily::ipv4;
    const std::string name = "guideway-to-" + peer.name + (v4 ? "-ipv4" : "-ipv6");
    for (std::size_t i = 0; i < settings.advertisements.size(); ++i) {
        const Advertisement& rule = settings.advertisements[i];
        if (!BgpSettings::tells(rule, peer)) continue;
        out << "route-map " << name << " permit " << (i + 1) * 10 << "\n description " << rule.name
            << "\n match metric " << metric_of(i) << "\n set origin igp\n";
        // The metric is how we tell advertisements apart: it must not go out as the MED.
        out << " set metric " << rule.med.value_or(0) << "\n";
        if (rule.local_preference) out << " set local-preference " << *rule.local_preference << "\n";
        std::string ordinary;
        std::string large;
        for (const std::string& one : rule.communities) (is_large(one) ? large : ordinary) += " " + one;
        if (!ordinary.empty()) out << " set community" << ordinary << "\n";
        if (!large.empty()) out << " set large-community" << large << "\n";
        if (v4 && peer.next_hop_ipv4) out << " set ip next-hop " << peer.next_hop_ipv4->to_string() << "\n";
        if (!v4 && peer.next_hop_ipv6) out << " set ipv6 next-hop global " << peer.next_hop_ipv6->to_string() << "\n";
        out << "exit\n";
    }
    out << "route-map " << name << " deny 65000\nexit\n";
}

void frr_peer(std::ostream& out, const BgpSettings& settings, const BgpPeer& peer, const Passwords& passwords) {
    const std::string neighbor = " neighbor " + peer.address.to_string() + " ";
    out << neighbor << "remote-as " << peer.asn << "\n" << neighbor << "description " << peer.name << "\n";
    if (peer.local_asn != 0 && peer.local_asn != settings.asn) {
        out << neighbor << "local-as " << peer.local_asn << " no-prepend replace-as\n";
    }
    if (peer.port != 179) out << neighbor << "port " << peer.port << "\n";
    if (const auto password = passwords.find(peer.name); password != passwords.end()) {
        out << neighbor << "password " << password->second << "\n";
    }
    if (peer.multihop != 0) out << neighbor << "ebgp-multihop " << unsigned{peer.multihop} << "\n";
    if (peer.source) out << neighbor << "update-source " << peer.source->to_string() << "\n";
    if (peer.bfd) out << neighbor << "bfd\n" << neighbor << "bfd profile guideway\n";
    if (peer.hold_seconds != 0) {
        out << neighbor << "timers " << std::max(1, peer.hold_seconds / 3) << " " << peer.hold_seconds << "\n";
    }
}

void frr_family(std::ostream& out, const BgpSettings& settings, IpFamily family) {
    const char* suffix = family == IpFamily::ipv4 ? "-ipv4" : "-ipv6";
    out << " address-family ipv" << (family == IpFamily::ipv4 ? 4 : 6)
        << " unicast\n  redistribute kernel route-map guideway" << suffix << "\n";
    for (const BgpPeer& peer : settings.peers) {
        if (!peer.carries(family)) continue;
        const std::string neighbor = "  neighbor " + peer.address.to_string() + " ";
        out << neighbor << "activate\n"
            << neighbor << "route-map guideway-nothing in\n"
            << neighbor << "route-map guideway-to-" << peer.name << suffix << " out\n";
    }
    out << " exit-address-family\n";
}

std::string frr(const BgpSettings& settings, const Passwords& passwords) {
    std::ostringstream out;
    std::string head = kHead;
    std::replace(head.begin(), head.end(), '#', '!');
    out << head << "! For /etc/frr/frr.conf, with bgpd"
        << " (and bfdd) turned on in /etc/frr/daemons; or: vtysh -f FILE\n!\n";
    for (const IpFamily family : {IpFamily::ipv4, IpFamily::ipv6}) {
        const bool v4 = family == IpFamily::ipv4;
        for (std::size_t i = 0; i < settings.advertisements.size(); ++i) {
            out << "route-map guideway" << (v4 ? "-ipv4" : "-ipv6") << " permit " << (i + 1) * 10 << "\n match metric "
                << metric_of(i) << "\n match " << (v4 ? "ip" : "ipv6") << " next-hop type blackhole\nexit\n";
        }
        out << "route-map guideway" << (v4 ? "-ipv4" : "-ipv6") << " deny 65000\nexit\n";
    }
    out << "route-map guideway-nothing deny 10\nexit\n";
    bool bfd = false;
    for (const BgpPeer& peer : settings.peers) {
        bfd = bfd || peer.bfd;
        for (const IpFamily family : peer.families) frr_route_map(out, settings, peer, family);
    }
    if (bfd) {
        out << "bfd\n profile guideway\n  detect-multiplier " << unsigned{settings.bfd_multiplier}
            << "\n  receive-interval " << settings.bfd_interval_ms << "\n  transmit-interval "
            << settings.bfd_interval_ms << "\n exit\nexit\n";
    }
    out << "router bgp " << settings.asn << "\n";
    if (settings.router_id) out << " bgp router-id " << settings.router_id->to_string() << "\n";
    out << " no bgp default ipv4-unicast\n";
    // FRR before 10.3 forgets what is withdrawn while it gathers routes for a new session, and goes on telling it: by default in the
    // first second.
    out << " coalesce-time 0\n";
    if (settings.graceful_restart) {
        // Nothing is taken from peers, so there is nothing to wait for before routes are chosen.
        out << " bgp graceful-restart\n bgp graceful-restart preserve-fw-state\n"
               " bgp graceful-restart select-defer-time 0\n";
    }
    if (settings.long_lived_seconds != 0) {
        out << " bgp long-lived-graceful-restart stale-time " << settings.long_lived_seconds << "\n";
    }
    for (const BgpPeer& peer : settings.peers) frr_peer(out, settings, peer, passwords);
    for (const IpFamily family : {IpFamily::ipv4, IpFamily::ipv6}) frr_family(out, settings, family);
    out << "exit\n";
    return out.str();
}

}  // namespace

std::variant<Password, std::string> read_password(const std::string& file) {
    constexpr std::size_t kLongest = 80;  // TCP_MD5SIG_MAXKEYLEN
    std::ifstream stream(file);
    if (!stream) return "cannot be read: " + std::string(std::strerror(errno));
    Password password;
    std::getline(stream, password.text);
    if (!password.text.empty() && password.text.back() == '\r') password.text.pop_back();
    if (password.text.empty()) return std::string("its first line is empty, allowed 1 to 80 characters");
    if (password.text.size() > kLongest) {
        return "its first line has " + std::to_string(password.text.size()) + " characters, allowed 1 to 80";
    }
    const bool plain = std::all_of(password.text.begin(), password.text.end(),
                                   [](char c) { return c > ' ' && c <= '~' && c != '"' && c != '\\'; });
    if (!plain)
        return std::string(
            "its first line has a blank, a quote, a backslash or a character beyond ASCII, allowed others");
    return password;
}

std::variant<Rendered, std::string> render(const BgpSettings& settings) {
    Passwords passwords;
    for (const BgpPeer& peer : settings.peers) {
        if (peer.password_file.empty()) continue;
        auto read = read_password(peer.password_file);
        if (const auto* why = std::get_if<std::string>(&read)) {
            return "password_file " + peer.password_file + " of peer " + peer.name + ": " + *why;
        }
        passwords.emplace(peer.name, std::get<Password>(read).text);
    }
    return Rendered{settings.daemon == Daemon::bird ? bird(settings, passwords) : frr(settings, passwords)};
}

}  // namespace guideway::announce
