// Every reader of REST bodies, and of label queries, on any bytes: no crash; what a PUT may hold survives being written and put
// again; a refusal has a reason.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "api/json/parse.h"
#include "api/resources/address_pool_codec.h"
#include "api/resources/bgp_status_codec.h"
#include "api/resources/event_codec.h"
#include "api/resources/load_balancer_codec.h"
#include "api/resources/maintenance_codec.h"
#include "api/resources/node_codec.h"
#include "api/resources/problem_codec.h"
#include "api/resources/selector_query.h"
#include "api/resources/snat_address_codec.h"
#include "api/resources/status_codec.h"
#include "api/resources/token_codec.h"

namespace {

using guideway::contract::Decoded;

template <class T>
void check_reasons(const Decoded<T>& decoded) {
    if (decoded.ok() != decoded.faults.empty()) std::abort();
    for (const auto& fault : decoded.faults) {
        if (fault.message.empty()) std::abort();
    }
}

/// What is read and written again is read as the same.
template <class T>
void check_answer(const Decoded<T>& answer, Decoded<T> (*read)(std::string_view)) {
    check_reasons(answer);
    if (!answer.ok()) return;
    const auto again = read(guideway::resources::encode(*answer.value));
    if (!again.ok() || *again.value != *answer.value) std::abort();
}

void check_query(std::string_view text) {
    using namespace guideway::resources;
    const auto query = parse_label_query(text);
    check_reasons(query);
    if (!query.ok()) return;
    const auto again = parse_label_query(to_string(*query.value));
    if (!again.ok() || *again.value != *query.value) std::abort();
    const Labels labels{{"team", "shop"}, {"tier", ""}};
    if (matches(*query.value, labels) != matches(*again.value, labels)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace guideway::resources;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_query(text);
    check_answer(decode_load_balancer(text, "default", "web"), read_load_balancer);
    // What is no JSON was refused by the parser that all the others begin with too.
    if (!guideway::json::parse_strict(text).ok()) return 0;
    check_answer(decode_address_pool(text, "web"), read_address_pool);
    check_answer(decode_node(text, "web"), read_node);
    check_answer(decode_token(text, "web"), read_token);
    check_reasons(read_load_balancer(text));  // labels of old documents are wider than what a wish may have
    check_reasons(read_address_pool(text));
    check_answer(read_load_balancer_page(text), read_load_balancer_page);
    check_answer(read_address_pool_page(text), read_address_pool_page);
    check_answer(read_node_page(text), read_node_page);
    check_answer(read_token_page(text), read_token_page);
    check_answer(read_event(text), read_event);
    check_answer(read_event_page(text), read_event_page);
    check_answer(read_snat_address_list(text), read_snat_address_list);
    check_answer(read_preview(text), read_preview);
    check_answer(read_status(text), read_status);
    check_answer(read_bgp_status(text), read_bgp_status);
    check_answer(decode_maintenance(text), read_maintenance);
    check_answer(read_maintenance(text), read_maintenance);
    check_reasons(read_problem(text));
    return 0;
}
