#include "api/resources/endpoint_slice_codec.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "api/resources/decode_limits.h"
#include "api/resources/metadata_codec.h"
#include "api/resources/names.h"

namespace guideway::resources {

namespace {

constexpr const char* kPorts = "ports";
constexpr const char* kEndpoints = "endpoints";

std::string words_of(contract::Protocol protocol, std::uint16_t port) {
    return std::string(contract::to_string(protocol)) + " " + std::to_string(port);
}

EndpointPort read_port(json::ObjectReader& reader, const std::vector<LoadBalancerPort>& ports,
                       const std::vector<EndpointPort>& before) {
    EndpointPort port;
    port.protocol = reader.value_or<contract::Protocol>("protocol", contract::Protocol::tcp, contract::parse_protocol,
                                                        "TCP, UDP or SCTP");
    port.port = reader.required_integer<std::uint16_t>("port", 1, 65535);
    port.target_port = reader.required_integer<std::uint16_t>("targetPort", 1, 65535);
    const auto same = [&](const auto& other) { return other.protocol == port.protocol && other.port == port.port; };
    if (std::none_of(ports.begin(), ports.end(), same)) {
        reader.fault("port", "found " + words_of(port.protocol, port.port) + ", allowed one of /spec/ports");
    } else if (std::any_of(before.begin(), before.end(), same)) {
        reader.fault("port", "found " + words_of(port.protocol, port.port) + " again, allowed once in a slice");
    }
    return port;
}

Endpoint read_endpoint(json::ObjectReader& reader, const std::vector<Endpoint>& before) {
    Endpoint endpoint;
    endpoint.address = read_address(reader, "address");
    endpoint.node = reader.string_or(
        "node", {},
        {0, 253, [](std::string_view text) { return text.empty() || is_name(text); }, "the name of a node"});
    endpoint.draining = reader.boolean_or("draining", false);
    if (!before.empty() && before.front().address.family != endpoint.address.family) {
        reader.fault("address", "found " + endpoint.address.to_string() + " in a slice of " +
                                    std::string(to_string(before.front().address.family)) +
                                    ", allowed one family in a slice");
    }
    return endpoint;
}

}  // namespace

void write_endpoint_slices(json::Writer& out, const std::vector<EndpointSlice>& slices) {
    out.begin_array();
    for (const EndpointSlice& slice : slices) {
        out.begin_object().key(kPorts).begin_array();
        for (const EndpointPort& port : slice.ports) {
            out.begin_object().key("protocol").text(contract::to_string(port.protocol));
            out.key("port").number(port.port).key("targetPort").number(port.target_port).end_object();
        }
        out.end_array().key(kEndpoints).begin_array();
        for (const Endpoint& endpoint : slice.endpoints) {
            out.begin_object().key("address").text(endpoint.address.to_string());
            if (!endpoint.node.empty()) out.key("node").text(endpoint.node);
            if (endpoint.draining) out.key("draining").boolean(true);
            out.end_object();
        }
        out.end_array().end_object();
    }
    out.end_array();
}

std::vector<EndpointSlice> read_endpoint_slices(json::ObjectReader& spec, const std::vector<LoadBalancerPort>& ports) {
    std::vector<EndpointSlice> slices;
    std::size_t endpoints = 0;
    spec.each_object("endpointSlices", {0, kMaxEndpointSlices}, [&](json::ObjectReader& one) {
        EndpointSlice slice;
        one.each_object(kPorts, {0, kMaxPorts}, [&](json::ObjectReader& reader) {
            slice.ports.push_back(read_port(reader, ports, slice.ports));
        });
        one.each_object(kEndpoints, {0, kMaxEndpoints}, [&](json::ObjectReader& reader) {
            slice.endpoints.push_back(read_endpoint(reader, slice.endpoints));
        });
        endpoints += slice.endpoints.size();
        slices.push_back(std::move(slice));
    });
    if (endpoints > kMaxEndpoints) {
        spec.fault("endpointSlices", "found " + std::to_string(endpoints) + " endpoints in all slices, allowed 0.." +
                                         std::to_string(kMaxEndpoints));
    }
    return slices;
}

}  // namespace guideway::resources
