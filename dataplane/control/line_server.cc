#include "dataplane/control/line_server.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace guideway::control {
namespace {

using Clock = std::chrono::steady_clock;

std::string system_error(const std::string& what) { return what + ": " + std::strerror(errno); }

std::optional<sockaddr_un> socket_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) return std::nullopt;
    std::copy(path.begin(), path.end(), address.sun_path);
    return address;
}

/// True when a process answers on the socket: its file must not be taken away from it.
bool is_alive(const sockaddr_un& address) {
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0) return false;
    const bool alive = connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    close(probe);
    return alive;
}

}  // namespace

struct LineServer::Client {
    int fd = -1;
    std::uint64_t number = 0;
    std::string input;
    std::size_t scanned = 0;  ///< of input: no newline before here
    std::string output;
    std::size_t sent = 0;
    bool closing = false;       ///< cut once the output is out
    bool end_of_input = false;  ///< the client sends no more; what it asked is still answered
    Clock::time_point output_since;
    Clock::time_point heard = Clock::now();  ///< when it was accepted or last sent something
};

/// The thread's own state: nothing of it is seen from outside.
class LineServer::Loop {
  public:
    explicit Loop(LineServer& server) : server_(server) {}
    ~Loop() {
        for (const auto& client : clients_) cut(*client);
    }

    void run() {
        for (;;) {
            wait();
            if (polled_[1].revents != 0) return;
            for (std::size_t i = 0; i < clients_.size(); ++i) serve(*clients_[i], polled_[i + 2].revents);
            std::erase_if(clients_, [](const auto& client) { return client->fd < 0; });
            if ((polled_[0].revents & POLLIN) != 0) accept_client();
        }
    }

  private:
    void wait() {
        polled_.assign({{server_.listener_, POLLIN, 0}, {server_.wake_, POLLIN, 0}});
        bool writing = false;
        for (const auto& client : clients_) {
            const bool pending = client->sent < client->output.size();
            writing = writing || pending;
            // A client that does not take its answer gets no further request read: its buffers stay bounded.
            polled_.push_back({client->fd, static_cast<short>(pending ? POLLOUT : POLLIN), 0});
        }
        if (poll(polled_.data(), polled_.size(), writing ? 1000 : -1) < 0) {
            for (auto& entry : polled_) entry.revents = 0;
        }
    }

    void accept_client() {
        const int fd = accept4(server_.listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        if (clients_.size() >= server_.limits_.clients && !make_place()) {
            close(fd);
            return;
        }
        auto client = std::make_unique<Client>();
        client->fd = fd;
        client->number = ++accepted_;
        clients_.push_back(std::move(client));
    }

    /// Forgotten connections must not keep the control plane out.
    bool make_place() {
        const auto silent = std::ranges::min_element(clients_, {}, [](const auto& client) { return client->heard; });
        if (silent == clients_.end() ||
            Clock::now() - (*silent)->heard < std::chrono::seconds(server_.limits_.silent_seconds)) {
            return false;
        }
        cut(**silent);
        clients_.erase(silent);
        return true;
    }

    void serve(Client& client, short events) {
        if (client.sent < client.output.size()) {
            if (events != 0) write_some(client);
            if (client.fd >= 0 && client.sent < client.output.size() &&
                Clock::now() - client.output_since > std::chrono::seconds(server_.limits_.answer_seconds)) {
                cut(client);
            }
        } else if (events != 0) {
            read_some(client);
        }
        answer_next(client);
    }

    void read_some(Client& client) {
        std::array<char, 65536> buffer;
        const ssize_t got = read(client.fd, buffer.data(), buffer.size());
        if (got > 0) {
            client.heard = Clock::now();
            client.input.append(buffer.data(), static_cast<std::size_t>(got));
        } else if (got == 0) {
            client.end_of_input = true;
        } else if (errno != EAGAIN && errno != EINTR) {
            cut(client);
        }
    }

    /// Answers the lines that are complete, one after the other as each answer is taken.
    void answer_next(Client& client) {
        while (client.fd >= 0 && client.output.empty() && !client.closing) {
            const auto newline = client.input.find('\n', client.scanned);
            if (newline == std::string::npos) {
                client.scanned = client.input.size();
                if (client.input.size() > server_.limits_.request_bytes) {
                    client.closing = true;
                    start_answer(client, server_.too_long_);
                } else if (client.end_of_input) {
                    cut(client);
                }
                return;
            }
            if (newline > server_.limits_.request_bytes) {
                client.closing = true;
                start_answer(client, server_.too_long_);
                return;
            }
            std::string answer = server_.handler_(std::string_view(client.input).substr(0, newline), client.number);
            client.input.erase(0, newline + 1);
            client.scanned = 0;
            start_answer(client, std::move(answer));
        }
    }

    void start_answer(Client& client, std::string answer) {
        client.output = std::move(answer);
        client.output += '\n';
        client.sent = 0;
        client.output_since = Clock::now();
        write_some(client);
    }

    void write_some(Client& client) {
        while (client.sent < client.output.size()) {
            const ssize_t written =
                send(client.fd, client.output.data() + client.sent, client.output.size() - client.sent, MSG_NOSIGNAL);
            if (written > 0) {
                client.sent += static_cast<std::size_t>(written);
                client.output_since = Clock::now();
            } else if (written < 0 && (errno == EAGAIN || errno == EINTR)) {
                return;
            } else {
                cut(client);
                return;
            }
        }
        client.output.clear();
        client.sent = 0;
        if (client.closing) cut(client);
    }

    void cut(Client& client) {
        if (client.fd < 0) return;
        close(client.fd);
        client.fd = -1;
        server_.gone_(client.number);
    }

    LineServer& server_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::vector<pollfd> polled_;
    std::uint64_t accepted_ = 0;
};

LineServer::LineServer(Handler handler, std::string too_long, LineServerLimits limits)
    : LineServer([plain = std::move(handler)](std::string_view line, std::uint64_t) { return plain(line); },
                 [](std::uint64_t) {}, std::move(too_long), limits) {}

LineServer::LineServer(ClientHandler handler, Gone gone, std::string too_long, LineServerLimits limits)
    : handler_(std::move(handler)), gone_(std::move(gone)), too_long_(std::move(too_long)), limits_(limits) {}

LineServer::~LineServer() { stop(); }

std::optional<std::string> LineServer::start(const std::string& path) {
    const auto address = socket_address(path);
    if (!address) {
        return "control socket '" + path + "': the path is empty or longer than " +
               std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " characters";
    }
    if (is_alive(*address)) return "control socket '" + path + "': another process is listening on it";
    struct stat existing {};
    if (lstat(path.c_str(), &existing) == 0) {
        if (!S_ISSOCK(existing.st_mode)) return "control socket '" + path + "': exists and is not a socket";
        unlink(path.c_str());
    }
    listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    wake_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    std::optional<std::string> error;
    if (listener_ < 0 || wake_ < 0) {
        error = system_error("control socket");
    } else if (bind(listener_, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
        error = system_error("control socket '" + path + "'");
    } else if (chmod(path.c_str(), 0660) != 0 || listen(listener_, 16) != 0) {
        error = system_error("control socket '" + path + "'");
        unlink(path.c_str());
    }
    if (error) {
        if (listener_ >= 0) close(listener_);
        if (wake_ >= 0) close(wake_);
        listener_ = wake_ = -1;
        return error;
    }
    path_ = path;
    thread_ = std::thread([this] { Loop(*this).run(); });
    pthread_setname_np(thread_.native_handle(), "gw-control");
    return std::nullopt;
}

void LineServer::stop() {
    if (!thread_.joinable()) return;
    const std::uint64_t one = 1;
    while (write(wake_, &one, sizeof one) < 0 && errno == EINTR) {
    }
    thread_.join();
    close(listener_);
    close(wake_);
    listener_ = wake_ = -1;
    unlink(path_.c_str());
}

}  // namespace guideway::control
