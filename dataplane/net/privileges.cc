#include "dataplane/net/privileges.h"

#include <cstdint>
#include <fstream>
#include <unistd.h>
#include <utility>

namespace guideway::net {
namespace {

std::uint64_t effective_capabilities() {
    std::ifstream status("/proc/self/status");
    for (std::string key; status >> key;) {
        std::uint64_t value = 0;
        if (key == "CapEff:" && status >> std::hex >> value) return value;
        status.ignore(4096, '\n');
    }
    return 0;
}

}  // namespace

std::optional<std::string> missing_privileges() {
    constexpr std::pair<unsigned, const char*> needed[] = {
        {12, "CAP_NET_ADMIN is missing (TAP devices, addresses, routes): run as root or give it to the service"},
        {13, "CAP_NET_RAW is missing (packet sockets): run as root or give it to the service"}};
    std::string text;
    const std::uint64_t there = effective_capabilities();
    for (const auto& [bit, message] : needed) {
        if ((there >> bit & 1) == 0) text += (text.empty() ? "" : "; ") + std::string(message);
    }
    if (access("/dev/net/tun", F_OK) != 0) {
        text += (text.empty() ? "" : "; ") +
                std::string("/dev/net/tun is missing: load the kernel's tun module (modprobe tun)");
    }
    if (text.empty()) return std::nullopt;
    return text;
}

}  // namespace guideway::net
