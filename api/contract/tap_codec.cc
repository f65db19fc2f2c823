#include "api/contract/tap_codec.h"

#include <array>
#include <limits>
#include <utility>

namespace guideway::contract {

namespace {

constexpr auto kMost64 = std::numeric_limits<std::uint64_t>::max();
constexpr auto kMost32 = std::numeric_limits<std::uint32_t>::max();
constexpr const char* kPrefix = "an IPv4 or IPv6 prefix, 192.0.2.0/24 or 2001:db8::/32";

bool is_tap_protocol(std::string_view text) {
    return text.empty() || text == "TCP" || text == "UDP" || text == "SCTP" || text == "ICMP";
}

std::string hex_of(const std::string& bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const char byte : bytes) {
        const auto value = static_cast<unsigned char>(byte);
        text += kDigits[value >> 4];
        text += kDigits[value & 15];
    }
    return text;
}

int digit_of(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

std::optional<std::string> parse_hex(std::string_view text) {
    if (text.size() % 2 != 0) return std::nullopt;
    std::string bytes;
    bytes.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const int high = digit_of(text[i]);
        const int low = digit_of(text[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        bytes += static_cast<char>(high << 4 | low);
    }
    return bytes;
}

void put(json::Writer& out, const TapFrame& frame) {
    out.begin_object().key("port").text(frame.port);
    if (!frame.packet.empty()) out.key("packet").text(frame.packet);
    out.key("length").number(frame.length).key("bytes").text(hex_of(frame.bytes)).end_object();
}

TapFrame read_frame(json::ObjectReader& reader) {
    TapFrame frame;
    frame.port = reader.required_string("port", json::length(0, 64));
    frame.packet = reader.string_or("packet", {}, json::length(0, 4096));
    frame.length = reader.required_integer<std::uint32_t>("length", 0, kMost32);
    frame.bytes = reader.required_value<std::string>("bytes", parse_hex, "hexadecimal digits, two a byte");
    return frame;
}

TapFilter read_filter(json::ObjectReader& reader) {
    TapFilter filter;
    filter.protocol = reader.string_or("protocol", {}, {0, 8, is_tap_protocol, "TCP, UDP, SCTP or ICMP"});
    if (reader.has("source")) filter.source = reader.required_value<IpPrefix>("source", IpPrefix::parse, kPrefix);
    filter.source_port = reader.integer_or<std::uint16_t>("source_port", 0, 0, 65535);
    if (reader.has("destination"))
        filter.destination = reader.required_value<IpPrefix>("destination", IpPrefix::parse, kPrefix);
    filter.destination_port = reader.integer_or<std::uint16_t>("destination_port", 0, 0, 65535);
    filter.port = reader.string_or("port", {}, json::length(0, 64));
    filter.drops = reader.boolean_or("drops", false);
    filter.reason = reader.string_or("reason", {}, json::length(0, 64));
    if (filter.source && filter.destination && filter.source->address.family != filter.destination->address.family) {
        reader.fault("destination", "found a prefix of another family than source, allowed " +
                                        std::string(to_string(filter.source->address.family)));
    }
    if (filter.protocol == "ICMP" && (filter.source_port != 0 || filter.destination_port != 0)) {
        reader.fault(filter.source_port != 0 ? "source_port" : "destination_port",
                     "found a port together with ICMP, allowed none: ICMP has no ports");
    }
    return filter;
}

}  // namespace

void put(json::Writer& out, const TapRequest& request) {
    const TapFilter& filter = request.filter;
    out.begin_object().key("filter").begin_object();
    if (!filter.protocol.empty()) out.key("protocol").text(filter.protocol);
    if (filter.source) out.key("source").text(filter.source->to_string());
    if (filter.source_port != 0) out.key("source_port").number(filter.source_port);
    if (filter.destination) out.key("destination").text(filter.destination->to_string());
    if (filter.destination_port != 0) out.key("destination_port").number(filter.destination_port);
    if (!filter.port.empty()) out.key("port").text(filter.port);
    if (filter.drops) out.key("drops").boolean(true);
    if (!filter.reason.empty()) out.key("reason").text(filter.reason);
    out.end_object().key("bytes").number(request.bytes).key("count").number(request.count);
    out.key("seconds").number(request.seconds).key("rate").number(request.rate);
    out.key("steps").boolean(request.steps).key("who").text(request.who).end_object();
}

void put(json::Writer& out, const TapRecord& record) {
    out.begin_object().key("time_ns").number(record.time_ns).key("worker").number(record.worker);
    out.key("taken_over").boolean(record.taken_over).key("verdict").text(record.verdict);
    if (!record.reason.empty()) out.key("reason").text(record.reason);
    if (!record.service.empty()) out.key("service").text(record.service);
    if (!record.backend.empty()) out.key("backend").text(record.backend);
    if (!record.steps.empty()) {
        out.key("steps").begin_array();
        for (const std::string& step : record.steps) out.text(step);
        out.end_array();
    }
    put(out.key("in"), record.in);
    out.key("out").begin_array();
    for (const TapFrame& frame : record.out) put(out, frame);
    out.end_array().key("more_out").number(record.more_out).end_object();
}

void put(json::Writer& out, const TapAnswer& answer) {
    out.begin_object().key("ended").text(answer.ended).key("ports").begin_array();
    for (const std::string& port : answer.ports) out.text(port);
    out.end_array().key("matched").number(answer.matched).key("lost").number(answer.lost);
    out.key("over_rate").number(answer.over_rate).key("not_looked_at").number(answer.not_looked_at);
    out.key("records").begin_array();
    for (const TapRecord& record : answer.records) put(out, record);
    out.end_array().end_object();
}

TapRequest read_tap_request(json::ObjectReader& reader) {
    TapRequest request;
    if (auto filter = reader.optional_object("filter"); filter.present()) {
        request.filter = read_filter(filter);
        filter.finish();
    }
    request.bytes = reader.required_integer<std::uint32_t>("bytes", kLeastTapBytes, kMostTapBytes);
    request.count = reader.required_integer<std::uint32_t>("count", 1, kMostTapPackets);
    request.seconds = reader.required_integer<std::uint32_t>("seconds", 1, kMostTapSeconds);
    request.rate = reader.required_integer<std::uint32_t>("rate", 1, kMostTapRate);
    request.steps = reader.boolean_or("steps", false);
    request.who = reader.string_or("who", {}, json::length(0, 256));
    return request;
}

TapAnswer read_tap_answer(json::ObjectReader& reader) {
    TapAnswer answer;
    answer.ended = reader.string_or("ended", {}, json::length(0, 64));
    answer.ports = reader.strings("ports", {0, 1024}, json::length(0, 64));
    answer.matched = reader.required_unsigned("matched", 0, kMost64);
    answer.lost = reader.required_unsigned("lost", 0, kMost64);
    answer.over_rate = reader.required_unsigned("over_rate", 0, kMost64);
    answer.not_looked_at = reader.required_unsigned("not_looked_at", 0, kMost64);
    reader.each_object("records", {0, kMostTapPackets}, [&](json::ObjectReader& one) {
        TapRecord record;
        record.time_ns = one.required_unsigned("time_ns", 0, kMost64);
        record.worker = one.required_integer<std::uint32_t>("worker", 0, kMost32);
        record.taken_over = one.boolean_or("taken_over", false);
        record.verdict = one.required_string("verdict", json::length(1, 64));
        record.reason = one.string_or("reason", {}, json::length(0, 64));
        record.service = one.string_or("service", {}, json::length(0, 4096));
        record.backend = one.string_or("backend", {}, json::length(0, 4096));
        record.steps = one.strings("steps", {0, 100}, json::length(0, 4096));
        if (auto in = one.required_object("in"); in.present()) {
            record.in = read_frame(in);
            in.finish();
        }
        one.each_object("out", {0, 64}, [&](json::ObjectReader& frame) { record.out.push_back(read_frame(frame)); });
        record.more_out = one.integer_or<std::uint32_t>("more_out", 0, 0, kMost32);
        answer.records.push_back(std::move(record));
    });
    return answer;
}

}  // namespace guideway::contract
