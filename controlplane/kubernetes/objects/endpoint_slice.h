// EndpointSlice (discovery.k8s.io/v1) and Namespace (core/v1), as far as the cloud controller looks at them.
// Thread contract: plain values, pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/contract/decoded.h"
#include "api/contract/forwarding_state.h"
#include "controlplane/kubernetes/objects/meta.h"

namespace guideway::kubernetes {

inline constexpr const char* kServiceNameLabel = "kubernetes.io/service-name";

struct SliceEndpoint {
    std::string address;  ///< the first: consumers may take any
    std::string node;     ///< empty: of none
    bool ready = true;    ///< absent means ready
    bool serving = true;  ///< absent: as ready
    bool terminating = false;
    friend bool operator==(const SliceEndpoint&, const SliceEndpoint&) = default;
};

struct SlicePort {
    std::string name;
    contract::Protocol protocol = contract::Protocol::tcp;
    std::uint16_t port = 0;  ///< 0: "all ports", which a Service never means
    friend bool operator==(const SlicePort&, const SlicePort&) = default;
};

struct Slice {
    Meta meta;
    std::string address_type;  ///< "IPv4", "IPv6", "FQDN"
    std::vector<SlicePort> ports;
    std::vector<SliceEndpoint> endpoints;

    /// "namespace/name" of its Service; empty: of none.
    std::string service_key() const {
        const auto found = meta.labels.find(kServiceNameLabel);
        return found == meta.labels.end() ? std::string() : meta.name_space + "/" + found->second;
    }
    friend bool operator==(const Slice&, const Slice&) = default;
};

contract::Decoded<Slice> decode_endpoint_slice(const nlohmann::json& object);

struct Namespace {
    std::string name;
    std::map<std::string, std::string> labels;
    friend bool operator==(const Namespace&, const Namespace&) = default;
};

contract::Decoded<Namespace> decode_namespace(const nlohmann::json& object);

}  // namespace guideway::kubernetes
