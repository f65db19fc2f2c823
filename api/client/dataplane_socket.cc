#include "api/client/dataplane_socket.h"

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace guideway::client {

namespace {

constexpr std::size_t kLongestAnswer = 256U << 20;

/// Ready in time, or not.
bool wait_for(int socket, short events, std::chrono::steady_clock::time_point deadline) {
    for (;;) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
        if (left <= 0) return false;
        pollfd wait{socket, events, 0};
        if (::poll(&wait, 1, static_cast<int>(left)) > 0) return true;
    }
}

}  // namespace

DataplaneSocket::DataplaneSocket(std::string path, std::chrono::milliseconds patience)
    : path_(std::move(path)), patience_(patience) {}

DataplaneSocket::~DataplaneSocket() {
    if (socket_ >= 0) ::close(socket_);
}

resources::Result<contract::Response> DataplaneSocket::ask(const contract::Request& request) {
    const auto deadline = std::chrono::steady_clock::now() + patience_;
    const auto fail = [this](const char* reason, const std::string& text) {
        if (socket_ >= 0) ::close(std::exchange(socket_, -1));
        return resources::Problem{0, reason, "the dataplane at " + path_ + ": " + text, {}};
    };
    if (socket_ < 0) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (path_.size() >= sizeof address.sun_path) return fail("Unreachable", "the path is too long for a socket");
        std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
        socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (socket_ < 0) return fail("Unreachable", std::strerror(errno));
        if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
            const int code = errno;
            const bool away = code == ENOENT || code == ECONNREFUSED;
            return fail("Unreachable",
                        std::string(std::strerror(code)) + (away             ? "; is guideway-dataplane running here?"
                                                            : code == EACCES ? "; it is for root and its group alone"
                                                                             : ""));
        }
    }
    const std::string line = contract::encode(request) + "\n";
    for (std::size_t sent = 0; sent < line.size();) {
        const ssize_t count = ::send(socket_, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
        if (count > 0) {
            sent += static_cast<std::size_t>(count);
        } else if (errno != EAGAIN && errno != EINTR) {
            return fail("ConnectionLost", std::strerror(errno));
        } else if (!wait_for(socket_, POLLOUT, deadline)) {
            return fail("Timeout", "does not take the question in time");
        }
    }
    std::string answer;
    std::string chunk(65536, '\0');
    while (answer.empty() || answer.back() != '\n') {
        const ssize_t count = ::recv(socket_, chunk.data(), chunk.size(), 0);
        if (count > 0) {
            answer.append(chunk, 0, static_cast<std::size_t>(count));
            if (answer.size() > kLongestAnswer) return fail("ConnectionLost", "an answer without end");
        } else if (count == 0) {
            return fail("ConnectionLost", "closed the connection");
        } else if (errno != EAGAIN && errno != EINTR) {
            return fail("ConnectionLost", std::strerror(errno));
        } else if (!wait_for(socket_, POLLIN, deadline)) {
            return fail("Timeout", "does not answer in time");
        }
    }
    answer.pop_back();
    auto decoded = contract::decode_response(answer);
    if (!decoded.ok()) {
        return fail("ConnectionLost", "answers in a form that is not understood (another version?): " +
                                          (decoded.faults.empty() ? std::string() : decoded.faults.front().message));
    }
    if (!decoded.value->ok) return resources::Problem{409, "Refused", "the dataplane refused", decoded.value->faults};
    return std::move(*decoded.value);
}

}  // namespace guideway::client
