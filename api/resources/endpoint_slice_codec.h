// The JSON form of a load balancer's endpoint slices, as spec.endpointSlices has them. Inside api/resources only.
//
// Terms: see load_balancer.h. Bounds (decode_limits.h): 1000 slices, 4096 endpoints in all of them, 100 ports a slice.
//
// Worked example: two pods on node-1, the second one terminating but serving:
//   [{"ports": [{"protocol": "TCP", "port": 80, "targetPort": 8080}],
//     "endpoints": [{"address": "10.244.1.7", "node": "node-1"},
//                   {"address": "10.244.1.8", "node": "node-1", "draining": true}]}]
// Thread contract: pure functions.
#pragma once

#include <vector>

#include "api/json/object_reader.h"
#include "api/json/writer.h"
#include "api/resources/load_balancer.h"

namespace guideway::resources {

/// The array; what is false or empty is left out.
void write_endpoint_slices(json::Writer& out, const std::vector<EndpointSlice>& slices);

/// `ports`: the load balancer's, which the slices' must be. Faults: a port that is none of them or twice in a slice, a target
/// port out of 1..65535, an address that no host can have, two families in one slice, too many.
std::vector<EndpointSlice> read_endpoint_slices(json::ObjectReader& spec, const std::vector<LoadBalancerPort>& ports);

}  // namespace guideway::resources
