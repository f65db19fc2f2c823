// ForwardingState and the socket's messages from any bytes: no crash, a value is valid and survives a round trip,
// a refusal has a reason; what the quick way of reading accepts, the strict way reads as the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/contract/forwarding_state_codec.h"
#include "api/contract/json_form.h"
#include "api/contract/messages.h"
#include "api/json/object_reader.h"
#include "api/json/parse.h"

namespace {

template <class T>
void check_reasons(const guideway::contract::Decoded<T>& decoded) {
    if (decoded.ok() != decoded.faults.empty()) std::abort();
    for (const auto& fault : decoded.faults) {
        if (fault.message.empty()) std::abort();
    }
}

void check_plain(std::string_view text) {
    using namespace guideway;
    const auto plain = contract::read_plain_state(text);
    if (!plain) return;
    const auto tree = json::parse_strict(text, {contract::kMaxStateBytes, 32});
    if (!tree.ok()) std::abort();
    std::vector<contract::Fault> faults;
    json::ObjectReader reader(*tree.value, "", faults);
    const auto strict = contract::read_forwarding_state(reader);
    reader.finish();
    if (!faults.empty() || strict != *plain) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace guideway::contract;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_plain(text);
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
