// FakeServer: an HTTP server on an ephemeral port of 127.0.0.1 that answers as a Guideway control plane would, from a table.
// Terms: an answer is found by "METHOD PATH?QUERY"; a list of answers is given one after the other, the last for ever.
// Thread contract: set up before the client asks; seen() after it was answered.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace guideway::testing {

struct FakeAnswer {
    int status = 200;
    std::string body;
};

struct SeenRequest {
    std::string what;  ///< "GET /v1/nodes"
    std::string body;
    std::string if_match;
};

class FakeServer {
  public:
    FakeServer();
    ~FakeServer();
    FakeServer(const FakeServer&) = delete;
    FakeServer& operator=(const FakeServer&) = delete;

    void answer(const std::string& what, std::vector<FakeAnswer> answers);
    std::vector<SeenRequest> seen() const;
    std::string url() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// A port of 127.0.0.1 where nobody listens.
std::string unreachable_url();

}  // namespace guideway::testing
