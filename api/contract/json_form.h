// The contract's documents as JSON, for those of them that are parts of another (messages.cc). Inside api/contract only.
// A reader of these must be finished by the caller. Thread contract: pure functions.
#pragma once

#include <optional>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "api/contract/counters.h"
#include "api/contract/explain.h"
#include "api/contract/forwarding_state.h"
#include "api/json/object_reader.h"
#include "api/json/writer.h"

namespace guideway::contract {

void put(json::Writer& out, const ForwardingState& state);
void put(json::Writer& out, const Counters& counters);
void put(json::Writer& out, const FlowFileStatus& file);
void put(json::Writer& out, const AddressConflict& conflict);
nlohmann::ordered_json tree_of(const ExplainRequest& request);
nlohmann::ordered_json tree_of(const ExplainAnswer& answer);

ForwardingState read_forwarding_state(json::ObjectReader& reader);
Counters read_counters(json::ObjectReader& reader);
FlowFileStatus read_flow_file(json::ObjectReader& reader);
AddressConflict read_conflict(json::ObjectReader& reader);
ExplainRequest read_explain_request(json::ObjectReader& reader);
ExplainAnswer read_explain_answer(json::ObjectReader& reader);

/// A state, or the state of an apply request, that keeps to the plain form (json/plain_cursor.h); not validated yet. Nothing:
/// read it the long way, which knows why.
std::optional<ForwardingState> read_plain_state(std::string_view text);
std::optional<ForwardingState> read_plain_apply(std::string_view line);

}  // namespace guideway::contract
