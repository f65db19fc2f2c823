// Client: the REST API in C++. Used by the `guideway` command and by integrations.
//
// Every call answers a value or a Problem; what went wrong on the way (no connection, time over) is a Problem with status 0
// and reason "Unreachable" or "Timeout", whose detail says what to do. Safe calls (GET, and PUT and DELETE, which are
// idempotent) are tried again with growing pauses where nobody listens or the answer is 503, until `retry_for` is over.
//
// Example:
//     client::Client client({.server = "http://127.0.0.1:8870"});
//     client::Result<resources::Node> node = client.node("node-1");
//     if (!node.ok()) std::cerr << node.problem().detail;
//
// Thread contract: one thread at a time a Client.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/contract/counters.h"
#include "api/contract/explain.h"
#include "api/resources/address_pool.h"
#include "api/resources/load_balancer.h"
#include "api/resources/node.h"
#include "api/resources/problem.h"
#include "api/resources/result.h"
#include "api/resources/status.h"

namespace guideway::client {

struct Options {
    std::string server = "http://127.0.0.1:8870";
    std::chrono::milliseconds connect_timeout{2000};
    std::chrono::milliseconds read_timeout{70000};  ///< longer than the longest ?wait=
    std::chrono::milliseconds retry_for{0};         ///< 0: once
};

using resources::Result;

/// The object after a PUT, and whether the PUT made it.
template <class T>
struct Put {
    T object;
    bool created = false;
};

class Client {
  public:
    explicit Client(Options options);
    ~Client();
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;

    /// `if_match`: the resourceVersion the change was made from; a problem with status 412 where another is in force now.
    Result<Put<resources::LoadBalancer>> ensure(const resources::LoadBalancer& wanted,
                                                std::optional<std::uint64_t> if_match = {});
    Result<Put<resources::AddressPool>> ensure(const resources::AddressPool& wanted,
                                               std::optional<std::uint64_t> if_match = {});
    Result<Put<resources::Node>> ensure(const resources::Node& wanted, std::optional<std::uint64_t> if_match = {});

    Result<resources::LoadBalancer> load_balancer(const std::string& ns, const std::string& name);
    Result<resources::AddressPool> address_pool(const std::string& name);
    Result<resources::Node> node(const std::string& name);

    /// `ns` empty: of all namespaces.
    Result<std::vector<resources::LoadBalancer>> load_balancers(const std::string& ns = {});
    Result<std::vector<resources::AddressPool>> address_pools();
    Result<std::vector<resources::Node>> nodes();

    /// True: it is gone now, or was not there.
    Result<bool> delete_load_balancer(const std::string& ns, const std::string& name);
    Result<bool> delete_address_pool(const std::string& name);
    Result<bool> delete_node(const std::string& name);

    /// `wait` (at most 60 s): answers once everything committed is in force, or the time is over.
    Result<resources::SystemStatus> status(std::chrono::seconds wait = std::chrono::seconds(0));
    Result<contract::ExplainAnswer> explain(const contract::ExplainRequest& request);
    Result<contract::Counters> counters();
    Result<std::string> metrics();

    /// The body of a GET as it is, for `-o json`. `path` begins with "/".
    Result<std::string> get_text(const std::string& path);

  private:
    struct Connection;
    std::unique_ptr<Connection> connection_;
};

}  // namespace guideway::client
