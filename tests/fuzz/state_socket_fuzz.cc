// What a client writes to the dataplane's socket: any bytes get exactly one answer line, and a refused request changes nothing.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <spdlog/spdlog.h>

#include "api/contract/messages.h"
#include "dataplane/control/control.h"

using namespace guideway;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    spdlog::set_level(spdlog::level::off);
    control::ControlSettings settings;
    settings.state_file = "/dev/null/none";  // refuses at once: the disk is not what is tested
    settings.own_addresses = {{*IpAddress::parse("10.0.2.100"), "a SNAT address"}};
    control::Engine engine;
    engine.apply = [](const contract::ForwardingState&) { return std::vector<contract::Fault>{}; };
    engine.counters = [] { return contract::Counters{}; };
    engine.explain = [](const contract::ExplainRequest&) {
        contract::ExplainAnswer answer;
        answer.verdict = "refuse";
        return answer;
    };
    engine.begin_tap = [](const contract::TapRequest& request, std::uint64_t) {
        if (request.bytes < contract::kLeastTapBytes || request.bytes > contract::kMostTapBytes) std::abort();
        return std::vector<contract::Fault>{};
    };
    engine.read_tap = [](std::uint64_t) { return std::optional<contract::TapAnswer>(contract::TapAnswer{}); };
    engine.ports = [] { return std::vector<contract::PortStatus>{}; };
    control::Control control(settings, engine);

    const std::string_view line(reinterpret_cast<const char*>(data), size);
    const auto before = control.generation();
    const auto answer = control.handle(line);
    if (answer.find('\n') != std::string::npos) std::abort();
    const auto response = contract::decode_response(answer);
    if (!response.ok() || response.value->generation != control.generation()) std::abort();
    if (!contract::decode_request(line).ok() && (response.value->ok || control.generation() != before)) std::abort();
    return 0;
}
