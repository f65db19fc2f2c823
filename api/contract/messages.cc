#include "api/contract/messages.h"

#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

#include "api/contract/forwarding_state_codec.h"
#include "api/contract/json_form.h"
#include "api/contract/tap_codec.h"
#include "api/json/object_reader.h"
#include "api/json/parse.h"

namespace guideway::contract {

namespace {

using Tree = nlohmann::ordered_json;

/// Counters of 65536 services take more room than the state itself.
constexpr std::size_t kMaxLineBytes = 256U << 20;
constexpr auto kMax64 = std::numeric_limits<std::uint64_t>::max();
constexpr json::TextRule kText{0, 4096, nullptr, nullptr};

bool is_request_type(std::string_view text) {
    return text == "apply" || text == "state" || text == "counters" || text == "explain" || text == "status" ||
           text == "tap" || text == "tap_read";
}

std::string line_of(const Tree& tree) { return tree.dump(-1, ' ', false, Tree::error_handler_t::replace); }

Tree tree_of_status(const DataplaneStatus& status) {
    Tree out = Tree::object();
    out["version"] = status.version;
    out["uptime_seconds"] = status.uptime_seconds;
    out["workers"] = status.workers;
    out["idle"] = status.idle;
    Tree& ports = out["ports"] = Tree::array();
    for (const PortStatus& port : status.ports) {
        Tree& one = ports.emplace_back(Tree::object());
        one["name"] = port.name;
        one["driver"] = port.driver;
        one["link_up"] = port.link_up;
    }
    json::Writer flow_file;
    put(flow_file, status.flow_file);
    out["flow_file"] = Tree::parse(flow_file.take());
    Tree& snat = out["snat_addresses"] = Tree::array();
    for (const IpAddress& address : status.snat_addresses) snat.push_back(address.to_string());
    // Where there are some: a control plane that is older than this list refuses it.
    if (status.address_conflicts.empty()) return out;
    Tree& conflicts = out["address_conflicts"] = Tree::array();
    for (const AddressConflict& conflict : status.address_conflicts) {
        json::Writer one;
        put(one, conflict);
        conflicts.push_back(Tree::parse(one.take()));
    }
    return out;
}

DataplaneStatus read_status(json::ObjectReader& reader) {
    DataplaneStatus status;
    status.version = reader.required_string("version", kText);
    status.uptime_seconds = reader.required_unsigned("uptime_seconds", 0, kMax64);
    status.workers = reader.required_integer<std::uint32_t>("workers", 0, 65535);
    status.idle = reader.required_string("idle", kText);
    reader.each_object("ports", {0, 1024}, [&](json::ObjectReader& one) {
        PortStatus port;
        port.name = one.required_string("name", kText);
        port.driver = one.required_string("driver", kText);
        port.link_up = one.required_boolean("link_up");
        status.ports.push_back(std::move(port));
    });
    json::ObjectReader file = reader.optional_object("flow_file");
    if (file.present()) {
        status.flow_file = read_flow_file(file);
        file.finish();
    }
    status.snat_addresses =
        reader.values<IpAddress>("snat_addresses", {0, 1U << 16}, IpAddress::parse, "an IPv4 or IPv6 address");
    reader.each_object("address_conflicts", {0, AnnouncementStatus::kMostTold},
                       [&](json::ObjectReader& one) { status.address_conflicts.push_back(read_conflict(one)); });
    return status;
}

struct EncodeRequest {
    json::Writer& out;
    void operator()(const ApplyRequest& request) const {
        out.key("type").text("apply").key("state");
        put(out, request.state);
    }
    void operator()(const StateRequest&) const { out.key("type").text("state"); }
    void operator()(const CountersRequest&) const { out.key("type").text("counters"); }
    void operator()(const ExplainRequest& request) const {
        out.key("type").text("explain").key("explain").raw(line_of(tree_of(request)));
    }
    void operator()(const StatusRequest&) const { out.key("type").text("status"); }
    void operator()(const TapRequest& request) const { put(out.key("type").text("tap").key("tap"), request); }
    void operator()(const TapReadRequest&) const { out.key("type").text("tap_read"); }
};

std::vector<Fault> faults_in_line(const ForwardingState& state) {
    auto faults = validate(state);
    for (Fault& fault : faults) fault.field.insert(0, "/state");
    return faults;
}

Request read_request(json::ObjectReader& reader, std::vector<Fault>& faults) {
    const std::string type = reader.required_string(
        "type", {1, 16, is_request_type, "apply, state, counters, explain, status, tap or tap_read"});
    if (type == "apply") {
        json::ObjectReader part = reader.required_object("state");
        ApplyRequest request{read_forwarding_state(part)};
        part.finish();
        if (faults.empty()) faults = faults_in_line(request.state);
        return request;
    }
    if (type == "explain") {
        json::ObjectReader part = reader.required_object("explain");
        const ExplainRequest request = read_explain_request(part);
        part.finish();
        return request;
    }
    if (type == "tap") {
        json::ObjectReader part = reader.required_object("tap");
        TapRequest request = read_tap_request(part);
        part.finish();
        return request;
    }
    if (type == "tap_read") return TapReadRequest{};
    if (type == "state") return StateRequest{};
    if (type == "counters") return CountersRequest{};
    return StatusRequest{};
}

/// The part under `key`, or nothing where it is not there.
template <class T>
std::optional<T> part_of(json::ObjectReader& reader, std::string_view key, T (*read)(json::ObjectReader&)) {
    json::ObjectReader part = reader.optional_object(key);
    if (!part.present()) return std::nullopt;
    T value = read(part);
    part.finish();
    return value;
}

Response read_response(json::ObjectReader& reader) {
    Response response;
    response.ok = reader.required_boolean("ok");
    response.generation = reader.required_unsigned("generation", 0, kMax64);
    reader.each_object("faults", {0, 1000}, [&](json::ObjectReader& one) {
        Fault fault;
        fault.field = one.required_string("field", kText);
        fault.message = one.required_string("message", kText);
        response.faults.push_back(std::move(fault));
    });
    response.state = part_of<ForwardingState>(reader, "state", read_forwarding_state);
    response.counters = part_of<Counters>(reader, "counters", read_counters);
    response.answer = part_of<ExplainAnswer>(reader, "answer", read_explain_answer);
    response.status = part_of<DataplaneStatus>(reader, "status", read_status);
    response.tap = part_of<TapAnswer>(reader, "tap", read_tap_answer);
    return response;
}

}  // namespace

std::string encode(const Request& request) {
    json::Writer out;
    out.begin_object();
    std::visit(EncodeRequest{out}, request);
    return out.end_object().take();
}

std::string encode(const Response& response) {
    json::Writer out;
    out.begin_object().key("ok").boolean(response.ok).key("generation").number(response.generation);
    out.key("faults").begin_array();
    for (const Fault& fault : response.faults) {
        out.begin_object().key("field").text(fault.field).key("message").text(fault.message).end_object();
    }
    out.end_array();
    if (response.state) put(out.key("state"), *response.state);
    if (response.counters) put(out.key("counters"), *response.counters);
    if (response.answer) out.key("answer").raw(line_of(tree_of(*response.answer)));
    if (response.status) out.key("status").raw(line_of(tree_of_status(*response.status)));
    if (response.tap) put(out.key("tap"), *response.tap);
    return out.end_object().take();
}

Decoded<Request> decode_request(std::string_view line) {
    Decoded<Request> result;
    if (auto plain = read_plain_apply(line)) {
        result.faults = faults_in_line(*plain);
        if (result.faults.empty()) result.value = ApplyRequest{*std::move(plain)};
        return result;
    }
    auto tree = json::parse_strict(line, {kMaxStateBytes, 32});
    if (!tree.ok()) {
        result.faults = std::move(tree.faults);
        return result;
    }
    json::ObjectReader reader(*tree.value, "", result.faults);
    Request request = read_request(reader, result.faults);
    reader.finish();
    if (result.faults.empty()) result.value = std::move(request);
    return result;
}

Decoded<Response> decode_response(std::string_view line) {
    Decoded<Response> result;
    auto tree = json::parse_strict(line, {kMaxLineBytes, 32});
    if (!tree.ok()) {
        result.faults = std::move(tree.faults);
        return result;
    }
    json::ObjectReader reader(*tree.value, "", result.faults);
    Response response = read_response(reader);
    reader.finish();
    if (result.faults.empty()) result.value = std::move(response);
    return result;
}

}  // namespace guideway::contract
