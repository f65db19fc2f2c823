#include "api/cli/pcapng.h"

#include <algorithm>

namespace guideway::cli {

namespace {

constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a;
constexpr std::uint32_t kInterface = 1;
constexpr std::uint32_t kEnhancedPacket = 6;
constexpr std::uint16_t kComment = 1;
constexpr std::uint16_t kName = 2;         // of an interface
constexpr std::uint16_t kFlags = 2;        // of a packet
constexpr std::uint16_t kApplication = 4;  // of a section
constexpr std::uint16_t kTimeResolution = 9;
constexpr std::uint16_t kEthernet = 1;

void put16(std::string& out, std::uint16_t value) {
    out += static_cast<char>(value & 0xff);
    out += static_cast<char>(value >> 8);
}

void put32(std::string& out, std::uint32_t value) {
    put16(out, static_cast<std::uint16_t>(value));
    put16(out, static_cast<std::uint16_t>(value >> 16));
}

void pad(std::string& out) { out.append((4 - out.size() % 4) % 4, '\0'); }

void put_option(std::string& out, std::uint16_t code, std::string_view value) {
    const std::string_view kept = value.substr(0, 65535);
    put16(out, code);
    put16(out, static_cast<std::uint16_t>(kept.size()));
    out += kept;
    pad(out);
}

/// A block's length stands at both of its ends.
std::string block(std::uint32_t type, std::string_view body) {
    const auto length = static_cast<std::uint32_t>(body.size() + 12);
    std::string out;
    out.reserve(length);
    put32(out, type);
    put32(out, length);
    out += body;
    put32(out, length);
    return out;
}

}  // namespace

std::string pcapng_section(std::string_view application) {
    std::string body;
    put32(body, 0x1a2b3c4d);  // the byte order
    put16(body, 1);           // version 1.0
    put16(body, 0);
    body.append(8, '\xff');  // the section's length is not known
    put_option(body, kApplication, application);
    put_option(body, 0, {});
    return block(kSectionHeader, body);
}

std::string pcapng_interface(std::string_view name, std::uint32_t most_bytes) {
    std::string body;
    put16(body, kEthernet);
    put16(body, 0);
    put32(body, most_bytes);
    put_option(body, kName, name);
    put_option(body, kTimeResolution, "\x09");  // 10^-9 s
    put_option(body, 0, {});
    return block(kInterface, body);
}

std::string pcapng_packet(const PcapngPacket& packet) {
    std::string body;
    put32(body, packet.interface);
    put32(body, static_cast<std::uint32_t>(packet.time_ns >> 32));
    put32(body, static_cast<std::uint32_t>(packet.time_ns));
    put32(body, static_cast<std::uint32_t>(packet.bytes.size()));
    put32(body, std::max(packet.length, static_cast<std::uint32_t>(packet.bytes.size())));
    body += packet.bytes;
    pad(body);
    std::string direction;
    put32(direction, packet.outbound ? 2 : 1);
    put_option(body, kFlags, direction);
    if (!packet.comment.empty()) put_option(body, kComment, packet.comment);
    put_option(body, 0, {});
    return block(kEnhancedPacket, body);
}

}  // namespace guideway::cli
