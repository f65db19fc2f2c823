#include "api/contract/explain_codec.h"

#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

#include "api/contract/json_form.h"
#include "api/json/object_reader.h"
#include "api/json/parse.h"

namespace guideway::contract {

namespace {

using Tree = nlohmann::ordered_json;

std::string text_of(const Tree& tree, bool pretty) {
    return tree.dump(pretty ? 2 : -1, ' ', false, Tree::error_handler_t::replace);
}

bool is_verdict(std::string_view text) {
    return text == "forward" || text == "refuse" || text == "kernel" || text == "reply";
}

/// One list for both directions.
template <class Flow, class Visit>
void each_text(Flow& flow, Visit visit) {
    visit("half", flow.half);
    visit("state", flow.state);
    visit("client", flow.client);
    visit("vip", flow.vip);
    visit("backend_address", flow.backend_address);
    visit("snat", flow.snat);
    visit("service", flow.service);
    visit("backend", flow.backend);
    visit("to_backend", flow.to_backend);
    visit("to_client", flow.to_client);
}

template <class T>
Decoded<T> decode(std::string_view text, T (*read)(json::ObjectReader&)) {
    Decoded<T> result;
    auto tree = json::parse_strict(text);
    if (!tree.ok()) {
        result.faults = std::move(tree.faults);
        return result;
    }
    json::ObjectReader reader(*tree.value, "", result.faults);
    T value = read(reader);
    reader.finish();
    if (result.faults.empty()) result.value = std::move(value);
    return result;
}

}  // namespace

Tree tree_of(const ExplainRequest& request) {
    Tree out = Tree::object();
    out["protocol"] = std::string(to_string(request.protocol));
    out["source"] = request.source.to_string();
    out["source_port"] = request.source_port;
    out["destination"] = request.destination.to_string();
    out["destination_port"] = request.destination_port;
    return out;
}

Tree tree_of(const ExplainAnswer& answer) {
    Tree out = Tree::object();
    out["generation"] = answer.generation;
    out["verdict"] = answer.verdict;
    out["service"] = answer.service;
    out["backend_set"] = answer.backend_set;
    out["backend"] = answer.backend;
    out["backend_address"] = answer.backend_address;
    out["backend_port"] = answer.backend_port;
    out["maglev_slot"] = answer.maglev_slot;
    out["maglev_size"] = answer.maglev_size;
    out["worker"] = answer.worker;
    out["steps"] = answer.steps;
    if (answer.flow) {
        Tree& flow = out["flow"] = Tree::object();
        flow["worker"] = answer.flow->worker;
        each_text(*answer.flow, [&](const char* key, const std::string& text) { flow[key] = text; });
        flow["idle_seconds"] = answer.flow->idle_seconds;
        flow["idle_limit_seconds"] = answer.flow->idle_limit_seconds;
    }
    return out;
}

ExplainRequest read_explain_request(json::ObjectReader& reader) {
    ExplainRequest request;
    constexpr auto kAddress = "an IPv4 or IPv6 address";
    request.protocol = reader.required_value<Protocol>("protocol", parse_protocol, "TCP, UDP or SCTP", Protocol::tcp);
    request.source = reader.required_value<IpAddress>("source", IpAddress::parse, kAddress);
    request.source_port = reader.required_integer<std::uint16_t>("source_port", 0, 65535);
    request.destination = reader.required_value<IpAddress>("destination", IpAddress::parse, kAddress);
    request.destination_port = reader.required_integer<std::uint16_t>("destination_port", 0, 65535);
    if (request.source.family != request.destination.family) {
        reader.fault("destination", "found an address of another family than source, allowed " +
                                        std::string(to_string(request.source.family)));
    }
    return request;
}

ExplainAnswer read_explain_answer(json::ObjectReader& reader) {
    ExplainAnswer answer;
    constexpr auto kMax32 = std::numeric_limits<std::uint32_t>::max();
    answer.generation = reader.required_unsigned("generation", 0, std::numeric_limits<std::uint64_t>::max());
    answer.verdict = reader.required_string("verdict", {1, 16, is_verdict, "forward, refuse, kernel or reply"});
    answer.service = reader.string_or("service", {}, json::length(0, 4096));
    answer.backend_set = reader.string_or("backend_set", {}, json::length(0, 4096));
    answer.backend = reader.string_or("backend", {}, json::length(0, 4096));
    answer.backend_address = reader.string_or("backend_address", {}, json::length(0, 64));
    answer.backend_port = reader.integer_or<std::uint16_t>("backend_port", 0, 0, 65535);
    answer.maglev_slot = reader.integer_or<std::uint32_t>("maglev_slot", 0, 0, kMax32);
    answer.maglev_size = reader.integer_or<std::uint32_t>("maglev_size", 0, 0, kMax32);
    answer.worker = reader.integer_or<std::uint32_t>("worker", 0, 0, kMax32);
    answer.steps = reader.strings("steps", {0, 100}, json::length(0, 4096));
    if (auto flow = reader.optional_object("flow"); flow.present()) {
        FlowView& view = answer.flow.emplace();
        view.worker = flow.required_integer<std::uint32_t>("worker", 0, kMax32);
        each_text(view,
                  [&](const char* key, std::string& text) { text = flow.required_string(key, json::length(0, 4096)); });
        view.idle_seconds = flow.required_integer<std::uint32_t>("idle_seconds", 0, kMax32);
        view.idle_limit_seconds = flow.required_integer<std::uint32_t>("idle_limit_seconds", 0, kMax32);
        flow.finish();
    }
    return answer;
}

std::string encode(const ExplainRequest& request, bool pretty) { return text_of(tree_of(request), pretty); }
std::string encode(const ExplainAnswer& answer, bool pretty) { return text_of(tree_of(answer), pretty); }

Decoded<ExplainRequest> decode_explain_request(std::string_view text) { return decode(text, read_explain_request); }
Decoded<ExplainAnswer> decode_explain_answer(std::string_view text) { return decode(text, read_explain_answer); }

}  // namespace guideway::contract
