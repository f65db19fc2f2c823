// LineServer: a Unix stream socket where each request is one line and each answer is one line.
//
// Knows nothing of what the lines mean. One thread serves all clients with poll(2): a client that is slow,
// silent or hostile costs a file descriptor and a bounded buffer, and holds up nobody.
//
// Worked example: `echo '{"type":"status"}' | socat - UNIX-CONNECT:/run/guideway/dataplane.sock`
//
// Thread contract: start(), stop() from one thread. The handler runs on the server's thread, one request at a
// time, in order of arrival; it may block (others wait) and must not throw.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace guideway::control {

struct LineServerLimits {
    std::size_t request_bytes = 64U << 20;  ///< a longer line is answered by `too_long` and the client is cut
    std::size_t clients = 32;      ///< one more takes the place of the longest silent one, or is closed at once
    unsigned silent_seconds = 60;  ///< silent for less: keeps its place
    unsigned answer_seconds = 30;  ///< a client that does not read its answer for so long is cut
};

class LineServer {
  public:
    using Handler = std::function<std::string(std::string_view line)>;
    /// Clients have numbers 1, 2, ..., none twice.
    using ClientHandler = std::function<std::string(std::string_view line, std::uint64_t client)>;
    using Gone = std::function<void(std::uint64_t client)>;

    /// `too_long`: the line sent to a client whose request exceeds the limit.
    LineServer(Handler handler, std::string too_long, LineServerLimits limits = {});
    /// `gone` is told once of each client that hung up or was cut, on the server's thread.
    LineServer(ClientHandler handler, Gone gone, std::string too_long, LineServerLimits limits = {});
    ~LineServer();
    LineServer(const LineServer&) = delete;
    LineServer& operator=(const LineServer&) = delete;

    /// Binds (mode 0660; a socket file that nobody listens on is replaced, a live one is refused), listens,
    /// starts the thread. Returns why it could not.
    std::optional<std::string> start(const std::string& path);
    /// Closes all clients, joins the thread, removes the socket file. Also done by the destructor.
    void stop();

  private:
    struct Client;
    class Loop;

    ClientHandler handler_;
    Gone gone_;
    std::string too_long_;
    LineServerLimits limits_;
    std::string path_;
    int listener_ = -1;
    int wake_ = -1;  ///< eventfd: written by stop()
    std::thread thread_;
};

}  // namespace guideway::control
