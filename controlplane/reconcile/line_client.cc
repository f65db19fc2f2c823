#include "controlplane/reconcile/line_client.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace guideway::reconcile {

std::string LineClient::connect(const std::string& path, Clock::time_point deadline) {
    close();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) return "the socket's path is too long: " + path;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0) return std::string("cannot make a socket: ") + std::strerror(errno);
    // A Unix socket connects at once or says EAGAIN where the listener's queue is full; that is for the caller's back-off.
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        const int code = errno;
        close();
        return "cannot connect to the dataplane at " + path + ": " + std::strerror(code) +
               (code == ENOENT || code == ECONNREFUSED ? " (is guideway-dataplane running?)" : "");
    }
    return Clock::now() < deadline ? std::string() : fail("connecting took too long").error;
}

LineClient::Answer LineClient::exchange(std::string_view request, Clock::time_point deadline) {
    if (socket_ < 0) return fail("not connected");
    std::string line(request);
    line += '\n';
    for (std::size_t sent = 0; sent < line.size();) {
        const ssize_t count = ::send(socket_, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
        if (count > 0) {
            sent += static_cast<std::size_t>(count);
        } else if (errno == EAGAIN) {
            if (std::string error = wait_for(POLLOUT, deadline, "taking the request"); !error.empty()) {
                return fail(std::move(error));
            }
        } else if (errno != EINTR) {
            return fail(std::string("the connection to the dataplane broke: ") + std::strerror(errno));
        }
    }
    std::size_t searched = 0;
    for (;;) {
        if (const std::size_t end = buffer_.find('\n', searched); end != std::string::npos) {
            Answer answer{buffer_.substr(0, end), {}};
            buffer_.erase(0, end + 1);
            return answer;
        }
        searched = buffer_.size();
        if (searched > kLongestAnswer) return fail("the dataplane's answer is longer than any answer is");
        char chunk[65536];
        const ssize_t count = ::recv(socket_, chunk, sizeof(chunk), 0);
        if (count > 0) {
            buffer_.append(chunk, static_cast<std::size_t>(count));
        } else if (count == 0) {
            return fail("the dataplane closed the connection");
        } else if (errno == EAGAIN) {
            if (std::string error = wait_for(POLLIN, deadline, "answering"); !error.empty())
                return fail(std::move(error));
        } else if (errno != EINTR) {
            return fail(std::string("the connection to the dataplane broke: ") + std::strerror(errno));
        }
    }
}

std::string LineClient::wait_for(short events, Clock::time_point deadline, const char* doing) {
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0) return std::string("the dataplane is ") + doing + " for too long";
        pollfd waits[2] = {{socket_, events, 0}, {interrupt_, POLLIN, 0}};
        const int ready = ::poll(waits, 2, static_cast<int>(std::min<long>(left, 60'000)));
        if (ready < 0 && errno != EINTR) return std::string("poll: ") + std::strerror(errno);
        if (ready > 0 && waits[1].revents != 0) return "interrupted";
        if (ready > 0 && waits[0].revents != 0) return {};
    }
}

LineClient::Answer LineClient::fail(std::string error) {
    close();
    return {{}, std::move(error)};
}

void LineClient::close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
    buffer_.clear();
}

}  // namespace guideway::reconcile
