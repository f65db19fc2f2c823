// FakeApiServer: an HTTP(S) server on a port the kernel chose that keeps objects as a Kubernetes API server does (revisions, conflicts, lists in
// pages, watches from a revision, merge patches), and that misbehaves on request: tokens, delays, refusals, resets within a line, compaction, and data
// that goes back in time.
//
// Thread contract: any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace guideway::testing {

struct FakeRefusal {
    int status = 503;
    std::string body = {};
    std::string retry_after = {};
    bool drop = false;      ///< no answer at all: the connection is closed once the request was read and carried out
    std::string only = {};  ///< "GET", "WATCH", ...: only to those; empty: to any
};

struct FakeSeen {
    std::string what;  ///< "GET /api/v1/services?limit=500"
    std::string body, content_type, authorization, user_agent, host;
};

/// What becomes of one request.
enum class FakeFault : std::uint8_t {
    none,
    not_carried_out,  ///< the connection ends, nothing happened
    answer_lost,      ///< carried out, and the connection ends before the answer
    too_many,         ///< 429 with Retry-After: 1
};

class FakeApiServer {
  public:
    struct Tls {
        std::string certificate, key, client_ca;
    };
    /// `address`: 127.0.0.1 or ::1.
    explicit FakeApiServer(const std::string& address = "127.0.0.1", const Tls* tls = nullptr);
    ~FakeApiServer();
    FakeApiServer(const FakeApiServer&) = delete;
    FakeApiServer& operator=(const FakeApiServer&) = delete;

    std::string url() const;

    /// Makes or replaces an object below a collection ("/api/v1/services"); its revision.
    std::uint64_t put(const std::string& collection, const std::string& name_space, const std::string& name,
                      nlohmann::json fields = {});
    void remove(const std::string& collection, const std::string& name_space, const std::string& name);
    /// Null: not there.
    nlohmann::json object(const std::string& collection, const std::string& name_space, const std::string& name) const;
    std::vector<nlohmann::json> objects(const std::string& collection) const;
    std::uint64_t revision() const;

    /// All watches of a revision before the present one end in 410, and so do pages.
    void compact();
    /// What follows a bookmark to all open watches.
    void bookmark();
    /// Ends all open watches; `within_line`: after half of an event, without the end of the answer.
    void end_watches(bool within_line = false);
    /// Sends these bytes to all open watches.
    void send_raw(const std::string& bytes);
    /// The next ones that it fits are answered so.
    void refuse(std::vector<FakeRefusal> refusals);
    /// DELETE as by a client: with finalizers the object stays, with a deletionTimestamp.
    void request_deletion(const std::string& collection, const std::string& name_space, const std::string& name);
    /// Asked at each request ("PATCH /api/v1/..."; a watch is "WATCH ..."), from any thread, one at a time; null: no faults.
    void fault_by(std::function<FakeFault(const std::string& what)> decide);
    /// Requests with another token get 401; empty: anybody.
    void require_token(const std::string& token);
    /// Each answer waits until release() is called.
    void hold();
    void release();

    /// Everything as it is now, to go back to: restored data has the old revisions, and open watches hear nothing of it.
    std::shared_ptr<void> snapshot() const;
    void restore(const std::shared_ptr<void>& snapshot);

    std::vector<FakeSeen> seen() const;
    std::size_t open_watches() const;
    /// False: not within ten seconds.
    bool wait_for(const std::function<bool()>& condition) const;
    bool wait_for_watches(std::size_t count) const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace guideway::testing
