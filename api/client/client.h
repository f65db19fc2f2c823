// Client: the REST API in C++. Used by the `guideway` command and by integrations.
//
// Every call answers a value or a Problem. What went wrong on the way is a Problem with status 0, whose detail says what to do:
//     Unreachable     nobody listens there, or no connection comes about
//     Timeout         no answer in time; whether a change was made is not known
//     ConnectionLost  the connection broke before the answer was whole; likewise
//     TlsFailed       a certificate or key that is not trusted, not for this name, or cannot be read
//     InvalidServer, InsecureServer, InvalidToken, TokenUnreadable    the options are wrong
//     UnexpectedAnswer    not as the contract has it
//     Cancelled       by cancel()
// A problem of authority (401, 403) says which token was used.
//
// Tries. With Options::retry_for a call is tried again with growing pauses where nobody listens or the answer is 429; and where
// doing it twice is the same as once (all but making and rotating tokens, and restoring) also where the answer is 503 or was lost.
// Preconditions and lost answers: a change whose answer was lost may have been made, so that the second try is refused with 412 for
// what the first one did. The client then reads the object: where it is as wanted (same spec, labels and UID; after a
// deletion: gone) that is the success of the first try, and answered so; else the 412 stands.
//
// Worked example:
//     client::Client client({.server = "https://gw.example:8870", .token_file = "/etc/guideway/token", .retry_for = 30s});
//     const auto put = client.ensure(web, {.wait_forwarding = 10s});
//     if (!put.ok()) std::cerr << put.problem().detail;
//     else if (put.value().forwarding == false) std::cerr << "saved, not in force yet";
//
// Thread contract: one thread at a time a Client; cancel() from any. With https the program ignores SIGPIPE.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/client/options.h"
#include "api/client/paths.h"
#include "api/client/watch.h"
#include "api/contract/counters.h"
#include "api/contract/explain.h"
#include "api/resources/bgp_status.h"
#include "api/resources/list.h"
#include "api/resources/maintenance.h"
#include "api/resources/problem.h"
#include "api/resources/result.h"
#include "api/resources/snat_address.h"
#include "api/resources/status.h"

namespace guideway::client {

using resources::Result;

/// On what condition a change is made (else 412), and how long its answer may wait.
struct Condition {
    std::optional<std::uint64_t> version = {};  ///< If-Match: the resourceVersion it was made from
    bool must_exist = false;                    ///< If-Match: *
    bool must_be_new = false;                   ///< If-None-Match: *
    std::chrono::seconds wait_forwarding{0};  ///< until the dataplane has it in force, at most so long (1..60 s); 0: no
};

/// The object after a PUT, and whether the PUT made it.
template <class T>
struct Put {
    T object = {};
    bool created = false;
    std::optional<bool> forwarding = {};  ///< of wait_forwarding: in force in time?
};

/// After a DELETE: it is gone, or was not there.
struct Deleted {
    std::optional<bool> forwarding = {};
};

struct PageRequest {
    std::size_t limit = 500;  ///< objects a page; 0: all at once
    std::string after = {};   ///< `continue` of the page before
};

class Client {
  public:
    explicit Client(Options options);
    ~Client();
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;

    // T: resources::LoadBalancer, AddressPool, Node; Token too but for watch; Event only listed and watched.

    template <class T>
    Result<Put<T>> ensure(const T& wanted, const Condition& condition = {});
    template <class T>
    Result<T> get(const ObjectName& name);
    /// `uid`: where not empty, only an object of this UID is deleted (another one: 409).
    template <class T>
    Result<Deleted> remove(const ObjectName& name, const Condition& condition = {}, const std::string& uid = {});
    template <class T>
    Result<resources::List<T>> page(const Selection& selection, const PageRequest& request = {});
    /// All pages, one after the other; begins anew where the list became too old in between.
    template <class T>
    Result<resources::List<T>> list(const Selection& selection = {}, std::size_t page_size = 500);
    /// Until cancel(), or what waiting does not mend: watch.h.
    template <class T>
    resources::Problem watch(const Selection& selection, std::uint64_t revision, const WatchHandler& handler) {
        return client::watch(*transport_, list_path<T>(selection), revision, handler);
    }

    /// What `wanted` would get now; nothing is changed.
    Result<resources::AllocationPreview> preview(const resources::LoadBalancer& wanted);
    /// A further secret, in status.token; the one before stays valid, any older one ends. Not tried again after a lost answer.
    Result<resources::Token> rotate_token(const std::string& name);
    Result<std::vector<resources::SnatAddress>> snat_addresses();

    /// `wait` (at most 60 s): answers once everything committed is in force, or the time is over.
    Result<resources::SystemStatus> status(std::chrono::seconds wait = std::chrono::seconds(0));
    Result<contract::ExplainAnswer> explain(const contract::ExplainRequest& request);
    Result<contract::Counters> counters();
    Result<resources::BgpStatus> bgp();
    Result<resources::Maintenance> maintenance();
    /// Durable, and acted on, when it is answered.
    Result<resources::Maintenance> set_maintenance(bool on, const std::string& reason = {});
    Result<std::string> metrics();

    /// Everything the store holds, given to `sink` in pieces (false: enough). A problem after the first piece: what was given is not whole.
    Result<std::uint64_t> backup(const std::function<bool(std::string_view)>& sink);
    /// Replaces everything by a backup; with `version` (of a list) only where nothing has changed since. Not tried again after a lost
    /// answer.
    Result<resources::SystemStatus> restore(const std::string& document, std::optional<std::uint64_t> version = {});

    /// The body of a GET as it is, for `-o json`. `path` begins with "/".
    Result<std::string> get_text(const std::string& path);

    /// From any thread: ends the call under way and all later ones (Transport::cancel).
    void cancel();
    bool cancelled() const;
    /// Sleeps for the next pause. False: cancelled.
    bool pause(Backoff& backoff);
    const Options& options() const;

  private:
    std::unique_ptr<Transport> transport_;
};

}  // namespace guideway::client
