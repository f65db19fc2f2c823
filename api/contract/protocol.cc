#include "api/contract/forwarding_state.h"

namespace guideway::contract {

std::string_view to_string(Protocol protocol) {
    switch (protocol) {
        case Protocol::tcp:
            return "TCP";
        case Protocol::udp:
            return "UDP";
        case Protocol::sctp:
            return "SCTP";
    }
    return "?";
}

std::optional<Protocol> parse_protocol(std::string_view text) {
    for (const auto protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp}) {
        if (text == to_string(protocol)) return protocol;
    }
    return std::nullopt;
}

}  // namespace guideway::contract
