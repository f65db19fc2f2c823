// LineClient: one connection to a Unix stream socket where each request and each answer is one line. Every call has a
// deadline and can be interrupted, so a dataplane that hangs holds up nobody for long.
// Thread contract: one thread at a time; interrupt(), by the descriptor given to the constructor, from any.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace guideway::reconcile {

class LineClient {
  public:
    using Clock = std::chrono::steady_clock;
    struct Answer {
        std::string line;   ///< without the newline
        std::string error;  ///< empty: it worked. The connection is closed otherwise.
        bool ok() const { return error.empty(); }
    };

    /// `interrupt`: a descriptor that becomes readable when waiting must end, or -1.
    explicit LineClient(int interrupt = -1) : interrupt_(interrupt) {}
    ~LineClient() { close(); }
    LineClient(const LineClient&) = delete;
    LineClient& operator=(const LineClient&) = delete;

    /// Empty: connected; else why not.
    std::string connect(const std::string& path, Clock::time_point deadline);
    Answer exchange(std::string_view request, Clock::time_point deadline);
    bool connected() const { return socket_ >= 0; }
    /// The descriptor, to wait for the other side's end; -1 where not connected.
    int descriptor() const { return socket_; }
    void close();

  private:
    static constexpr std::size_t kLongestAnswer = 256U << 20;
    std::string wait_for(short events, Clock::time_point deadline, const char* doing);
    Answer fail(std::string error);

    int interrupt_;
    int socket_ = -1;
    std::string buffer_;
};

}  // namespace guideway::reconcile
