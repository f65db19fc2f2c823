// Transport: one request to the server and its answer, with everything that may happen between: tries, pauses, deadlines, TLS,
// tokens. Client says what to ask; this says how.
//
// Terms. Try: one exchange over one connection. Lost: the request went out and no whole answer came back, so that it may have been
// carried out. Sink: takes the body of a successful answer in pieces, instead of Answer::body.
//
// A connection is kept between calls. Where the server had closed it in between, a repeatable request is sent once more
// at once, retry_for or not.
//
// Thread contract: one thread at a time; cancel() from any. A program that uses https ignores SIGPIPE: OpenSSL writes without MSG_NOSIGNAL.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "api/client/options.h"
#include "api/client/server_url.h"
#include "api/resources/result.h"

namespace guideway::client {

struct Request {
    std::string method = "GET";
    std::string path = {};  ///< encoded, with its query; begins with "/"
    std::string body = {};  ///< sent where the content type is not empty
    std::string content_type = {};
    std::string accept = {};
    std::string if_match = {}, if_none_match = {};  ///< headers; empty: not sent
    bool repeatable = true;                         ///< doing it twice is the same as once
    bool endless = false;  ///< a stream: no deadline, and tried once, as the caller has pauses of its own
    std::optional<Milliseconds> read_timeout = {};  ///< instead of the options'
    /// False: enough; the call ends as a success.
    std::function<bool(std::string_view)> sink = {};
};

struct Answer {
    int status = 0;
    std::string body = {};
    std::string content_type = {}, etag = {}, forwarding = {};  ///< headers; empty: not there
    /// A try before this one was lost: what it asked for may have been done by that one.
    bool after_lost = false;

    bool ok() const { return status >= 200 && status < 300; }
};

class Transport {
  public:
    explicit Transport(Options options);
    ~Transport();
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;

    /// Any status is an answer. A problem: there is none, with status 0 (client.h names the reasons).
    resources::Result<Answer> ask(const Request& request);

    /// The problem that an answer without success tells, and where it is one of authority, which token was used.
    resources::Problem problem_of(const Answer& answer) const;

    /// Ends the call under way, and refuses all later ones, with reason "Cancelled". Once may be too early for a call that is
    /// about to connect: who waits for a thread to end calls it until that has ended.
    void cancel();
    bool cancelled() const { return cancelled_; }

    const Options& options() const { return options_; }
    std::chrono::steady_clock::time_point now() const;
    double random();
    /// False: cancelled meanwhile.
    bool sleep(Milliseconds time);

  private:
    struct Http;
    struct Try;

    std::optional<resources::Problem> prepare();
    std::optional<resources::Problem> read_token();
    std::optional<resources::Problem> connect_http();
    Try try_once(const Request& request, std::chrono::steady_clock::time_point end);
    std::string token_words() const;

    const Options options_;
    std::optional<ServerUrl> url_;
    std::shared_ptr<Http> http_;  ///< under mutex_ where it is set, as cancel() reads it
    std::string files_seen_;      ///< which files of TLS http_ was made from
    std::string token_, token_seen_;
    std::uint64_t random_state_;
    std::atomic<bool> cancelled_{false};
    std::mutex mutex_;
    std::condition_variable woken_;
};

}  // namespace guideway::client
