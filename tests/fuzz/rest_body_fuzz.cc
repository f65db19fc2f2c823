// Every reader of REST bodies on any bytes: no crash; what a PUT may hold survives being written and put again;
// a refusal has a reason.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "api/resources/address_pool_codec.h"
#include "api/resources/load_balancer_codec.h"
#include "api/resources/node_codec.h"
#include "api/resources/problem_codec.h"
#include "api/resources/status_codec.h"

namespace {

template <class T>
void check_reasons(const guideway::contract::Decoded<T>& decoded) {
    if (decoded.ok() != decoded.faults.empty()) std::abort();
    for (const auto& fault : decoded.faults) {
        if (fault.message.empty()) std::abort();
    }
}

template <class T>
void check_wish(const guideway::contract::Decoded<T>& wish, guideway::contract::Decoded<T> (*read)(std::string_view)) {
    check_reasons(wish);
    if (!wish.ok()) return;
    const auto again = read(guideway::resources::encode(*wish.value));
    if (!again.ok() || *again.value != *wish.value) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace guideway::resources;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_wish(decode_load_balancer(text, "default", "web"), read_load_balancer);
    check_wish(decode_address_pool(text, "web"), read_address_pool);
    check_wish(decode_node(text, "web"), read_node);
    check_reasons(read_load_balancer_list(text));
    check_reasons(read_address_pool_list(text));
    check_reasons(read_node_list(text));
    check_reasons(read_status(text));
    check_reasons(read_problem(text));
    return 0;
}
