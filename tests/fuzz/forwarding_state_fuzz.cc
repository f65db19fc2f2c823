// ForwardingState and the socket's messages from any bytes: no crash, a value is valid and survives a round trip,
// a refusal has a reason.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "api/contract/forwarding_state_codec.h"
#include "api/contract/messages.h"

namespace {

template <class T>
void check_reasons(const guideway::contract::Decoded<T>& decoded) {
    if (decoded.ok() != decoded.faults.empty()) std::abort();
    for (const auto& fault : decoded.faults) {
        if (fault.message.empty()) std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace guideway::contract;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto state = decode_forwarding_state(text);
    check_reasons(state);
    if (state.ok()) {
        if (!validate(*state.value).empty()) std::abort();
        const auto again = decode_forwarding_state(encode(*state.value));
        if (!again.ok() || *again.value != *state.value) std::abort();
    }
    check_reasons(decode_request(text));
    const auto response = decode_response(text);
    check_reasons(response);
    if (response.ok()) {
        const auto again = decode_response(encode(*response.value));
        if (!again.ok() || *again.value != *response.value) std::abort();
    }
    return 0;
}
