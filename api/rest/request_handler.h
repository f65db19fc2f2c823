// RequestHandler: what answers the requests of a server once they are understood, bounded and known by whom: the routes, or a test's own.
//
// Thread contract: answer_early() and answer() from many threads at once; end_waits() from any thread.
#pragma once

#include <optional>

#include "api/rest/routes.h"

namespace guideway::rest {

class RequestHandler {
  public:
    virtual ~RequestHandler() = default;
    /// The answer, or nothing where the body has to be read first (then answer()).
    virtual std::optional<Response> answer_early(const Request& request) = 0;
    virtual Response answer(const Request& request) = 0;
    /// Ends waits under way and to come.
    virtual void end_waits() = 0;
};

}  // namespace guideway::rest
