#include "controlplane/kubernetes/client/in_cluster.h"

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace guideway::kubernetes {

namespace {

constexpr const char* kHost = "KUBERNETES_SERVICE_HOST";
constexpr const char* kPort = "KUBERNETES_SERVICE_PORT";

std::string environment(const InClusterOptions& options, const char* name) {
    if (options.environment) return options.environment(name);
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : value;
}

bool is_port(const std::string& text) {
    unsigned port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

bool is_file(const std::string& path) {
    std::error_code ignored;
    return std::filesystem::is_regular_file(path, ignored);
}

}  // namespace

bool is_in_cluster(const InClusterOptions& options) {
    return !environment(options, kHost).empty() && is_file(options.folder + "/token");
}

contract::Decoded<Access> in_cluster_access(const InClusterOptions& options) {
    contract::Decoded<Access> out;
    const std::string host = environment(options, kHost), port = environment(options, kPort);
    if (host.empty()) {
        out.faults.push_back(
            {kHost, "found nothing, allowed the API server's address: not in a pod? Give a kubeconfig"});
    }
    if (!is_port(port)) out.faults.push_back({kPort, "found \"" + port + "\", allowed 1 to 65535"});
    const std::string token = options.folder + "/token", authority = options.folder + "/ca.crt";
    for (const std::string& path : {token, authority}) {
        if (!is_file(path)) {
            out.faults.push_back(
                {path, "found no such file, allowed that of a service account: is automountServiceAccountToken off?"});
        }
    }
    if (!out.faults.empty()) return out;
    Access access;
    access.server = "https://" + (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
    access.authority.file = authority;
    access.token_file = token;
    access.origin = "the service account of this pod";
    std::ifstream file(options.folder + "/namespace");
    std::string text{std::istreambuf_iterator<char>(file), {}};
    text.erase(text.find_last_not_of(" \r\n\t") + 1);
    access.namespace_ = std::move(text);
    out.value = std::move(access);
    return out;
}

}  // namespace guideway::kubernetes
