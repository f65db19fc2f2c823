// Annotations: what a Service's annotations ask for: ours (guideway.io/) and MetalLB's (metallb.io/, metallb.universe.tf/), so that users can
// move over without touching their Services.
//
//     ours                             MetalLB's                     value
//     guideway.io/address-pool         address-pool                  a pool's name
//     guideway.io/load-balancer-ips    loadBalancerIPs               "192.0.2.10" or "192.0.2.10,2001:db8::10"
//     guideway.io/sharing-key          allow-shared-ip               any text
//     guideway.io/mode                                               "nat" or "pod"
//     guideway.io/idle-timeout                                       "30m", "1h30m", "3600": 1 s to 7 d
//     guideway.io/proxy-protocol                                     not served yet
//
// Ours wins over MetalLB's; where they say different things that is told (a note). MetalLB's two prefixes with different values, and a value
// that cannot be read, are faults.
//
// Worked example: {"guideway.io/address-pool": "a", "metallb.io/address-pool": "b"} -> address_pool "a", and a note that names both.
// Thread contract: pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/contract/forwarding_state.h"
#include "api/contract/ip_address.h"
#include "api/resources/load_balancer.h"

namespace guideway::kubernetes {

inline constexpr const char* kPoolWrittenBack = "guideway.io/allocated-from-pool";
/// The cluster as which the Service is on the appliance: set together with the finalizer, so that nobody else's is ever removed.
inline constexpr const char* kManagedMark = "guideway.io/managed-as";
inline constexpr const char* kSourceRangesAnnotation = "service.beta.kubernetes.io/load-balancer-source-ranges";

struct Asked {
    std::string address_pool;
    std::vector<IpAddress> addresses;
    std::string sharing_key;
    resources::ForwardingMode mode = resources::ForwardingMode::nat;
    std::uint32_t idle_timeout_seconds = 0;
    bool silent = false;
    resources::Limits limits;
    std::vector<std::string> notes;  ///< of what is done otherwise than somebody may expect: Warning events
    friend bool operator==(const Asked&, const Asked&) = default;
};

/// Faults are added with the annotation's name as field.
Asked read_annotations(const std::map<std::string, std::string>& annotations, std::vector<contract::Fault>& faults);

/// "30m", "1h30m10s", "3600": seconds; nothing for any other text, 0 and more than a week.
std::optional<std::uint32_t> parse_duration(std::string_view text);

/// Without the blanks around it.
std::string_view trimmed(std::string_view text);
/// "a, b" -> {"a", "b"}; empty parts are kept out.
std::vector<std::string> split_list(std::string_view text);

}  // namespace guideway::kubernetes
