// Any JSON as an object of the API server: it is decoded or refused with a named field, never a crash; and what a Service becomes on
// the appliance is read by the appliance as what was meant, or refused by name.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include <nlohmann/json.hpp>

#include "api/resources/load_balancer_codec.h"
#include "api/resources/node_codec.h"
#include "controlplane/kubernetes/selection.h"
#include "controlplane/kubernetes/service_status.h"
#include "controlplane/kubernetes/translate.h"

namespace {

using namespace guideway;
using namespace guideway::kubernetes;

template <class Decoded>
void check(const Decoded& decoded) {
    if (decoded.ok() != decoded.faults.empty()) std::abort();
    for (const auto& fault : decoded.faults) {
        if (fault.message.empty()) std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto tree = nlohmann::json::parse(text, nullptr, false);
    if (tree.is_discarded()) return 0;
    const auto service = decode_service(tree);
    const auto node = decode_node(tree);
    const auto slice = decode_endpoint_slice(tree);
    const auto name_space = decode_namespace(tree);
    check(service);
    check(node);
    check(slice);
    check(name_space);
    if (node.ok()) {
        const auto verdict = back_end_of(*node.value, {"default", true, 60, 10256, true});
        if (const auto* made = std::get_if<resources::Node>(&verdict)) {
            const auto read = resources::decode_node(resources::encode(*made), made->metadata.name, "default");
            if (read.ok() && read.value->spec != made->spec) std::abort();
        }
    }
    if (!service.ok()) return 0;
    Slices slices;
    if (slice.ok()) slices.push_back(std::make_shared<const Slice>(*slice.value));
    for (const Pods pods : {Pods::unreachable, Pods::routed}) {
        const Translated made = translate(*service.value, slices, {}, {"default", pods, true});
        if (!made.ok()) continue;
        const auto& of = made.wanted.metadata;
        const auto read =
            resources::decode_load_balancer(resources::encode(made.wanted), of.namespace_, of.name, "default");
        if (read.ok() && read.value->spec != made.wanted.spec) std::abort();
        // What is said once needs no second saying.
        Service told = *service.value;
        const DesiredStatus desired = desired_status(made.wanted, made.port_errors);
        told.ingress = desired.ingress;
        if (desired.ports_error.empty() && told.conditions.empty() && status_patch(told, desired, "")) std::abort();
    }
    return 0;
}
