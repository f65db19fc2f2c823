// What tests of the command share: running it against a FakeServer, and objects. Thread contract: one thread a test.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "api/cli/cli.h"
#include "api/resources/load_balancer_codec.h"
#include "api/resources/node_codec.h"
#include "tests/unit/api/client/fake_server.h"

namespace guideway::cli {

struct Outcome {
    int code = 0;
    std::string out, err;
};

inline Outcome run_with(std::vector<std::string> arguments, const std::string& input = {}) {
    std::istringstream in(input);
    std::ostringstream out, err;
    const int code = run(arguments, {in, out, err});
    return {code, out.str(), err.str()};
}

inline resources::Node node(std::uint64_t version = 1, bool drain = false) {
    resources::Node object;
    object.metadata.name = "node-1";
    object.metadata.resource_version = version;
    object.spec.addresses = {IpAddress::parse("10.0.2.11").value()};
    object.spec.drain = drain;
    return object;
}

inline resources::LoadBalancer web() {
    resources::LoadBalancer object;
    object.metadata.namespace_ = "default";
    object.metadata.name = "web";
    object.spec.ports = {{"http", contract::Protocol::tcp, 80, 30080}};
    object.status.ingress = {{IpAddress::parse("203.0.113.1").value(), "demo"},
                             {IpAddress::parse("2001:db8:f::1").value(), "demo"}};
    object.status.conditions = {{"Allocated", true, "Allocated", "", ""},
                                {"Programmed", false, "DataplaneBehind", "start the dataplane", ""}};
    return object;
}

inline constexpr auto kWebYaml = R"(kind: LoadBalancer
metadata: {namespace: default, name: web}
spec: {ports: [{name: http, port: 80, nodePort: 30080}]}
)";

class Cli : public ::testing::Test {
  protected:
    Outcome guideway(std::vector<std::string> arguments, const std::string& input = {}) {
        arguments.insert(arguments.begin(), {"--server", server.url()});
        return run_with(std::move(arguments), input);
    }
    testing::FakeServer server;
};

}  // namespace guideway::cli
