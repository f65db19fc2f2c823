// DataplaneSocket: asks the dataplane itself, over its Unix socket, where the control plane is away or must not be in between. On the
// appliance only, for who may open the socket (root and its group).
//
// Worked example: DataplaneSocket dataplane("/run/guideway/dataplane.sock");
//   const auto response = dataplane.ask(contract::CountersRequest{});   if (response.ok()) ... response.value().counters
//
// Thread contract: one thread.
#pragma once

#include <chrono>
#include <string>

#include "api/contract/messages.h"
#include "api/resources/result.h"

namespace guideway::client {

class DataplaneSocket {
  public:
    /// Connects with the first question. `patience`: for each question, in all.
    explicit DataplaneSocket(std::string path, std::chrono::milliseconds patience = std::chrono::seconds(5));
    ~DataplaneSocket();
    DataplaneSocket(const DataplaneSocket&) = delete;
    DataplaneSocket& operator=(const DataplaneSocket&) = delete;

    /// A response that is not ok comes as the problem 409 with its faults; no answer as the problem 0, "Unreachable".
    resources::Result<contract::Response> ask(const contract::Request& request);

  private:
    std::string path_;
    std::chrono::milliseconds patience_;
    int socket_ = -1;
};

}  // namespace guideway::client
