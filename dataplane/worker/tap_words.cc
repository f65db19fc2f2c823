#include "dataplane/worker/tap_words.h"

#include <array>
#include <cstdio>
#include <cstring>
#include <vector>

#include "dataplane/packet/icmp_error.h"
#include "dataplane/packet/parse.h"

namespace guideway::worker {
namespace {

using packet::PacketKind;
using packet::ParsedPacket;

/// Of a frame of which the beginning is there; what is behind that counts as zeros.
struct WholeFrame {
    WholeFrame(std::span<const std::byte> beginning, std::uint32_t length) : bytes(length) {
        std::memcpy(bytes.data(), beginning.data(), std::min<std::size_t>(beginning.size(), length));
        packet::ParseOptions options;
        options.ipv4_checksum_verified = beginning.size() < length && beginning.size() < 60;
        parsed = packet::parse(bytes.data(), length, options);
    }
    std::vector<std::uint8_t> bytes;
    ParsedPacket parsed;
};

std::string mac_words(const std::uint8_t* mac) {
    std::array<char, 18> text{};
    std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                  mac[5]);
    return text.data();
}

std::string protocol_words(const ParsedPacket& parsed) {
    switch (parsed.protocol) {
        case packet::protocol::kTcp:
            return "TCP";
        case packet::protocol::kUdp:
            return "UDP";
        case packet::protocol::kSctp:
            return "SCTP";
        case packet::protocol::kIcmp:
            return "ICMP";
        case packet::protocol::kIcmpv6:
            return "ICMPv6";
        default:
            return "IP protocol " + std::to_string(parsed.protocol);
    }
}

std::string tcp_flag_words(std::uint8_t flags) {
    std::string text;
    const auto add = [&](std::uint8_t flag, const char* name) {
        if ((flags & flag) != 0) text += (text.empty() ? "" : ",") + std::string(name);
    };
    add(packet::tcp::kSyn, "SYN");
    add(packet::tcp::kFin, "FIN");
    add(packet::tcp::kRst, "RST");
    add(packet::tcp::kAck, "ACK");
    return text.empty() ? "no flags" : text;
}

bool has_ports(const ParsedPacket& parsed) {
    return parsed.is_flow() || (parsed.kind == PacketKind::fragment && parsed.part == packet::Part::first);
}

std::string ends_words(const ParsedPacket& parsed) {
    if (!parsed.has_destination()) return "addresses not readable";
    if (!has_ports(parsed)) return parsed.source().to_string() + " > " + parsed.destination().to_string();
    const std::uint16_t from = parsed.has_v6 ? parsed.v6.source_port : parsed.v4.source_port;
    const std::uint16_t to = parsed.has_v6 ? parsed.v6.destination_port : parsed.v4.destination_port;
    return endpoint_text(parsed.source(), from) + " > " + endpoint_text(parsed.destination(), to);
}

std::string words_of(const WholeFrame& frame) {
    const ParsedPacket& parsed = frame.parsed;
    const std::string ends = ends_words(parsed);
    switch (parsed.kind) {
        case PacketKind::ipv4_flow:
        case PacketKind::ipv6_flow:
            return protocol_words(parsed) + " " + ends +
                   (parsed.protocol == packet::protocol::kTcp ? " " + tcp_flag_words(parsed.tcp_flags) : "");
        case PacketKind::icmpv4_echo_request:
        case PacketKind::icmpv6_echo_request:
            return protocol_words(parsed) + " " + ends + " echo request";
        case PacketKind::icmp_other: {
            const std::uint8_t* message = frame.bytes.data() + parsed.l4_offset;
            return protocol_words(parsed) + " " + ends + " type " + std::to_string(message[0]) + " code " +
                   std::to_string(message[1]);
        }
        case PacketKind::arp:
            return "ARP " + ends;
        case PacketKind::neighbour_solicitation:
            return "ICMPv6 " + ends + " neighbour solicitation";
        case PacketKind::fragment:
            return std::string(parsed.part == packet::Part::first ? "first" : "later") + " fragment of " +
                   (parsed.has_v6 && parsed.part != packet::Part::first ? "IPv6" : protocol_words(parsed)) + " " + ends;
        case PacketKind::kernel:
            return "neither IP nor ARP";
        case PacketKind::bad:
            return "not well formed, " + ends;
        default:
            return protocol_words(parsed) + " " + ends;
    }
}

std::string reason_words(observe::DropReason reason) {
    return std::string(observe::to_string(reason)) + ": " +
           std::string(observe::kDropReasonTexts.at(static_cast<std::size_t>(reason)));
}

std::string port_words(std::size_t port, const FlowSurroundings& around) {
    return port < around.port_names.size() ? around.port_names[port] : std::to_string(port);
}

const balancing::ServiceEntry* service_of(const ParsedPacket& parsed, const FlowSurroundings& around) {
    if (!has_ports(parsed)) return nullptr;
    const auto& services = around.state.services;
    return parsed.has_v6 ? services.find_v6(parsed.v6.destination.data(), parsed.protocol, parsed.v6.destination_port)
                         : services.find_v4(parsed.v4.destination, parsed.protocol, parsed.v4.destination_port);
}

std::string service_name(const balancing::ServiceEntry& service, const FlowSurroundings& around) {
    return around.state.service_labels[static_cast<std::size_t>(&service - around.state.services.services().data())]
        .name;
}

/// Of a packet of no known connection: what its destination is here.
std::string destination_words(const ParsedPacket& parsed, const balancing::ServiceEntry* service,
                              const FlowSurroundings& around) {
    if (!parsed.has_destination()) return "No address of a VIP or of SNAT.";
    const std::string destination = parsed.destination().to_string();
    if (service != nullptr) {
        const balancing::BackendSet& set = around.state.sets[service->backend_set];
        return "Service " + service_name(*service, around) + ", backend set " +
               around.state.set_labels[service->backend_set].name + " of " + std::to_string(set.backends.size()) +
               (set.backends.size() == 1 ? " backend." : " backends.");
    }
    if (around.state.vips.contains(parsed.destination()))
        return destination + " is a VIP" + (has_ports(parsed) ? " without a service on this port." : ".");
    if (around.state.snat.contains(parsed.destination()))
        return destination + " is a SNAT address: only replies of known connections go on.";
    return destination + " is neither a VIP nor a SNAT address.";
}

std::string choice_words(const TapNote& note, const contract::FlowView& view) {
    const std::string backend =
        (view.backend.empty() ? "" : view.backend + " ") + "(" + view.backend_address + "), SNAT " + view.snat;
    switch (note.choice) {
        case TapChoice::remembered:
            return "Opens a connection to the backend its client went to before (session affinity): " + backend + ".";
        case TapChoice::remembered_gone:
            return "Opens a connection; the backend its client went to before takes none any more, now: " + backend +
                   ".";
        default:
            return "Opens a connection to the backend that the Maglev table has for its hash: " + backend + ".";
    }
}

std::string end_words(const TapNote& note) {
    switch (note.verdict) {
        case TapVerdict::dropped:
            return "Dropped as " + reason_words(note.reason) + ".";
        case TapVerdict::refused:
            return "Answered with a refusal; " + reason_words(note.refused_for) + ".";
        case TapVerdict::answered:
            return "Answered here.";
        case TapVerdict::kernel:
            return "Given to the kernel.";
        case TapVerdict::handed_over:
            return "Handed over to the worker that owns it.";
        case TapVerdict::held:
            return note.wait == TapWait::neighbour ? "Waits for the MAC address of its next hop."
                                                   : "Waits for the first fragment of its datagram.";
        case TapVerdict::other:
            return "Neither sent nor dropped.";
        default:
            return {};
    }
}

void add_steps(contract::TapRecord& record, const TapNote& note, const WholeFrame& in,
               const std::optional<contract::FlowView>& view, const FlowSurroundings& around) {
    std::vector<std::string>& steps = record.steps;
    if (in.parsed.kind == PacketKind::bad) steps.push_back("Parsed as " + reason_words(in.parsed.reason) + ".");
    if (note.known_before) {
        std::string text = "Found in the flow table";
        if (view)
            text += " by its " + view->half + "'s half: " + view->client + " > " + view->vip + " is " + view->snat +
                    " > " + view->backend_address;
        text += ", state " + state_name(note.state_before);
        if (view && view->state != state_name(note.state_before)) text += ", now " + view->state;
        steps.push_back(text + (view ? "." : "; its connection ended with this packet."));
        if (view && !record.service.empty())
            steps.push_back(
                "Service " + record.service +
                (record.backend.empty() ? ", a backend that left it." : ", backend " + record.backend + "."));
    } else {
        if (has_ports(in.parsed)) steps.push_back("Not in this worker's flow table.");
        steps.push_back(destination_words(in.parsed, service_of(in.parsed, around), around));
        if (view) steps.push_back(choice_words(note, *view));
    }
    const bool forwards = note.verdict == TapVerdict::forwarded || note.verdict == TapVerdict::held;
    std::string end = end_words(note);
    if (!forwards && !end.empty()) steps.push_back(std::move(end));
    for (std::size_t i = 0; i < record.out.size(); ++i) {
        const contract::TapFrame& frame = record.out[i];
        if (forwards) {
            steps.push_back("Translated to " + frame.packet + ".");
        } else {
            steps.push_back("The answer is " + frame.packet + ".");
        }
        if (!frame.port.empty() && frame.bytes.size() >= 6)
            steps.push_back("Leaves by port " + frame.port + " to " +
                            mac_words(reinterpret_cast<const std::uint8_t*>(frame.bytes.data())) + ", " +
                            std::to_string(frame.length) + " bytes.");
    }
    if (record.more_out != 0) steps.push_back(std::to_string(record.more_out) + " more frames leave with it.");
    if (forwards && note.verdict == TapVerdict::held) steps.push_back(end_words(note));
}

}  // namespace

std::string_view to_string(TapVerdict verdict) {
    constexpr std::array<std::string_view, 8> kNames{"forwarded", "answered", "refused",     "dropped",
                                                     "kernel",    "held",     "handed_over", "other"};
    return kNames.at(static_cast<std::size_t>(verdict));
}

std::string packet_text(std::span<const std::byte> bytes, std::uint32_t length) {
    return words_of(WholeFrame(bytes, length));
}

void tell(contract::TapRecord& record, const TapNote& note, const FlowSurroundings& around, bool steps) {
    record.verdict = to_string(note.verdict);
    if (note.verdict == TapVerdict::dropped) record.reason = observe::to_string(note.reason);
    if (note.verdict == TapVerdict::refused) record.reason = observe::to_string(note.refused_for);
    record.more_out = note.more_out;
    const auto bytes_of = [](const contract::TapFrame& frame) { return std::as_bytes(std::span(frame.bytes)); };
    std::optional<contract::FlowView> view;
    if (note.finding) {
        view = view_of(*note.finding, record.worker, around);
        record.service = view->service;
        record.backend = view->backend;
    }
    record.in.port = port_words(note.in.port, around);
    for (std::size_t i = 0; i < record.out.size(); ++i) {
        if (note.out.at(i).port != TapNote::kNotSent) record.out[i].port = port_words(note.out.at(i).port, around);
    }
    const WholeFrame in(bytes_of(record.in), record.in.length);
    if (!view) {
        if (const auto* service = service_of(in.parsed, around)) record.service = service_name(*service, around);
    }
    if (!steps) return;
    record.in.packet = words_of(in);
    for (contract::TapFrame& frame : record.out) frame.packet = packet_text(bytes_of(frame), frame.length);
    add_steps(record, note, in, view, around);
}

}  // namespace guideway::worker
