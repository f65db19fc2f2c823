#include "dataplane/control/control.h"

#include <algorithm>
#include <exception>
#include <type_traits>
#include <utility>
#include <variant>

#include <spdlog/spdlog.h>

#include "api/contract/forwarding_state_codec.h"

namespace guideway::control {
namespace {

std::string to_text(const std::vector<contract::Fault>& faults) {
    std::string text;
    for (const auto& fault : faults) {
        if (text.size() > 1000) return text + "; ...";
        text += (text.empty() ? "" : "; ") + fault.field + ": " + fault.message;
    }
    return text;
}

}  // namespace

Control::Control(ControlSettings settings, Engine engine)
    : settings_(std::move(settings)), engine_(std::move(engine)), file_(settings_.state_file) {}

void Control::load() {
    const auto loaded = file_.load();
    if (!loaded.text && !loaded.error) {
        spdlog::info("no state on disk ({}): waiting for the control plane", file_.path());
        return;
    }
    std::string reason = loaded.error.value_or("");
    if (loaded.text) {
        auto decoded = contract::decode_forwarding_state(*loaded.text);
        const auto faults = decoded.ok() ? put_in_force(*decoded.value) : decoded.faults;
        if (faults.empty()) {
            state_ = std::move(decoded.value);
            on_disk_ = true;
            spdlog::info("state from disk in force: generation {}, {} services", state_->generation,
                         state_->services.size());
            return;
        }
        reason = to_text(faults);
    }
    const auto aside = file_.set_aside();
    spdlog::error("state file {} cannot be used ({}); {}. Forwarding nothing until the control plane sends a state",
                  file_.path(), reason, aside ? "kept as " + *aside : "it could not be renamed");
}

std::vector<contract::Fault> Control::collisions(const contract::ForwardingState& state) const {
    std::vector<contract::Fault> faults;
    for (std::size_t i = 0; i < state.services.size(); ++i) {
        const auto& vip = state.services[i].vip;
        const auto own = std::ranges::find(settings_.own_addresses, vip, &std::pair<IpAddress, std::string>::first);
        if (own != settings_.own_addresses.end()) {
            faults.push_back(
                {"/services/" + std::to_string(i) + "/vip",
                 "found " + vip.to_string() + ", which is " + own->second + ", allowed an address of its own"});
        }
    }
    return faults;
}

std::vector<contract::Fault> Control::put_in_force(const contract::ForwardingState& state) {
    auto faults = collisions(state);
    if (!faults.empty()) return faults;
    return engine_.apply(state);
}

contract::Response Control::accepted() const {
    contract::Response response;
    response.ok = true;
    response.generation = generation();
    return response;
}

contract::Response Control::apply(contract::ForwardingState&& state) {
    const bool known = state_ && *state_ == state;
    if (known && on_disk_) return accepted();
    if (!known) {
        auto faults = put_in_force(state);
        if (!faults.empty()) {
            for (auto& fault : faults) fault.field = "/state" + fault.field;
            spdlog::warn("state {} refused, {} stays in force: {}", state.generation, generation(), to_text(faults));
            contract::Response response = accepted();
            response.ok = false;
            response.faults = std::move(faults);
            return response;
        }
        if (state_ && state.generation < state_->generation) {
            spdlog::warn("state {} follows {}: applied, the control plane's store seems to be an older one",
                         state.generation, state_->generation);
        }
        spdlog::info("state {} in force: {} services, {} backend sets", state.generation, state.services.size(),
                     state.backend_sets.size());
        state_ = std::move(state);
        on_disk_ = false;
    }
    if (const auto error = file_.store(contract::encode(*state_) + "\n")) {
        spdlog::error("state {} is in force but not on disk: {}", generation(), *error);
        contract::Response response = accepted();
        response.ok = false;
        response.faults.push_back({"/state_file", *error + ": in force, but a restart would not find it"});
        return response;
    }
    on_disk_ = true;
    return accepted();
}

contract::DataplaneStatus Control::status() const {
    contract::DataplaneStatus status;
    status.version = settings_.version;
    status.uptime_seconds = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_).count());
    status.workers = settings_.workers;
    status.idle = settings_.idle;
    status.snat_addresses = settings_.snat_addresses;
    status.ports = engine_.ports();
    status.flow_file = engine_.flow_file();
    status.address_conflicts = engine_.conflicts();
    return status;
}

contract::Response Control::tap(const contract::Request& request, std::uint64_t client) {
    contract::Response response = accepted();
    if (const auto* wish = std::get_if<contract::TapRequest>(&request)) {
        response.faults = engine_.begin_tap(*wish, client);
    } else if (auto seen = engine_.read_tap(client)) {
        response.tap = std::move(seen);
    } else {
        response.faults = {{"/type", "found tap_read, allowed only after a tap of the same connection"}};
    }
    response.ok = response.faults.empty();
    return response;
}

contract::Response Control::answer(contract::Request&& request, std::uint64_t client) {
    if (auto* wish = std::get_if<contract::ApplyRequest>(&request)) return apply(std::move(wish->state));
    if (std::holds_alternative<contract::TapRequest>(request) ||
        std::holds_alternative<contract::TapReadRequest>(request))
        return tap(request, client);
    contract::Response response = accepted();
    if (std::holds_alternative<contract::StateRequest>(request)) {
        response.state = state_.value_or(contract::ForwardingState{});
    } else if (std::holds_alternative<contract::CountersRequest>(request)) {
        response.counters = engine_.counters();
        response.counters->generation = generation();
        response.counters->started_at_unix_seconds = settings_.started_at_unix_seconds;
    } else if (const auto* question = std::get_if<contract::ExplainRequest>(&request)) {
        response.answer = engine_.explain(*question);
    } else {
        response.status = status();
    }
    return response;
}

void Control::gone(std::uint64_t client) { engine_.end_tap(client); }

std::string Control::handle(std::string_view line, std::uint64_t client) {
    contract::Response response = accepted();
    try {
        auto request = contract::decode_request(line);
        if (request.ok()) return contract::encode(answer(*std::move(request.value), client));
        response.faults = request.faults;
        spdlog::warn("control socket: request refused: {}", to_text(request.faults));
    } catch (const std::exception& error) {
        // Memory, most likely: the request is lost, the dataplane is not.
        spdlog::error("control socket: {}", error.what());
        response.faults = {{"", std::string("the request could not be served: ") + error.what()}};
    }
    response.ok = false;
    response.generation = generation();
    return contract::encode(response);
}

std::string Control::too_long() {
    contract::Response response;
    response.faults.push_back({"", "request line longer than 64 MiB"});
    return contract::encode(response);
}

}  // namespace guideway::control
