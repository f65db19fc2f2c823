// AnsweringMachine: many listeners on loopback addresses, each with its own way to answer a GET. For tests alone.
// Thread contract: listen() before start(); behave() and the numbers from any thread.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <netinet/in.h>
#include <stdexcept>
#include <string>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "api/contract/ip_address.h"

namespace guideway::health::testing {

enum class Behaviour {
    answer,  ///< the text, then the end
    silent,  ///< takes the request and says nothing
    drip,    ///< a byte of a good answer now and then, never the whole
    huge,    ///< bytes without an end
    close,   ///< ends the connection at once
    reset,   ///< likewise, by RST
};

inline std::string http(int status, const std::string& body = "") {
    return "HTTP/1.1 " + std::to_string(status) +
           " Text\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           body;
}

inline std::string local_endpoints(int number) {
    return http(number > 0 ? 200 : 503, R"({"service":{"namespace":"default","name":"web"},"localEndpoints":)" +
                                            std::to_string(number) + R"(,"serviceProxyHealthy":true})");
}

/// As many descriptors as the machine allows.
inline void allow_many_files() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 65536);
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

inline IpAddress loopback(unsigned number) { return IpAddress::v4(0x7f010000u + number); }

inline int listening_socket(const IpAddress& address, std::uint16_t& port) {
    sockaddr_storage storage{};
    socklen_t length = 0;
    if (address.is_v4()) {
        auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        std::memcpy(&v4.sin_addr, address.bytes.data(), 4);
        length = sizeof v4;
    } else {
        auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        std::memcpy(&v6.sin6_addr, address.bytes.data(), 16);
        length = sizeof v6;
    }
    const int fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&storage), length) != 0 || ::listen(fd, 1024) != 0) {
        throw std::runtime_error("cannot listen on " + address.to_string() + ": " +
                                 std::generic_category().message(errno));
    }
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length);
    port = ntohs(address.is_v4() ? reinterpret_cast<sockaddr_in&>(storage).sin_port
                                 : reinterpret_cast<sockaddr_in6&>(storage).sin6_port);
    return fd;
}

class AnsweringMachine {
  public:
    ~AnsweringMachine() {
        stopping_ = true;
        if (wake_ >= 0) ::eventfd_write(wake_, 1);
        if (thread_.joinable()) thread_.join();
        for (const auto& [fd, connection] : connections_) ::close(fd);
        for (const auto& [fd, one] : listeners_) ::close(fd);
        ::close(epoll_);
        ::close(wake_);
    }

    /// The port; `port` 0: the kernel chooses. `number` names the listener from now on.
    std::uint16_t listen(unsigned number, const IpAddress& address, Behaviour behaviour, std::string text = http(200),
                         std::uint16_t port = 0) {
        const int fd = listening_socket(address, port);
        listeners_[fd] = number;
        behave(number, behaviour, std::move(text));
        watch(fd, EPOLLIN);
        return port;
    }
    void start() {
        watch(wake_, EPOLLIN);
        thread_ = std::thread([this] { run(); });
    }
    void behave(unsigned number, Behaviour behaviour, std::string text = http(200)) {
        const std::lock_guard lock(mutex_);
        ways_[number] = {behaviour, std::move(text)};
    }

    std::uint64_t accepted() const { return accepted_; }
    /// Connections that were open at the same time, at most.
    std::size_t most_at_once() const { return most_; }
    /// What was asked last, and from where.
    std::string last_request() const {
        const std::lock_guard lock(mutex_);
        return last_request_;
    }
    std::string last_peer() const {
        const std::lock_guard lock(mutex_);
        return last_peer_;
    }
    /// When connections of this listener came.
    std::vector<std::chrono::steady_clock::time_point> arrivals(unsigned number) const {
        const std::lock_guard lock(mutex_);
        const auto at = arrivals_.find(number);
        return at == arrivals_.end() ? std::vector<std::chrono::steady_clock::time_point>{} : at->second;
    }

  private:
    struct Way {
        Behaviour behaviour = Behaviour::answer;
        std::string text;
    };
    struct Connection {
        Way way;
        std::size_t sent = 0;
        bool asked = false;
    };

    void watch(int fd, std::uint32_t events) {
        epoll_event event{};
        event.events = events;
        event.data.fd = fd;
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    }

    void run() {
        std::array<epoll_event, 512> events{};
        while (!stopping_) {
            const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 50);
            for (int i = 0; i < count; ++i) {
                const int fd = events[static_cast<std::size_t>(i)].data.fd;
                if (fd == wake_) continue;
                if (listeners_.contains(fd)) {
                    accept_all(fd);
                } else {
                    serve(fd);
                }
            }
            for (auto& [fd, connection] : connections_) {
                if (connection.way.behaviour == Behaviour::drip && connection.asked &&
                    connection.sent + 1 < connection.way.text.size()) {
                    if (::send(fd, &connection.way.text[connection.sent], 1, MSG_NOSIGNAL) == 1) ++connection.sent;
                }
            }
        }
    }

    void accept_all(int listener) {
        for (;;) {
            sockaddr_storage peer{};
            socklen_t length = sizeof peer;
            const int fd =
                ::accept4(listener, reinterpret_cast<sockaddr*>(&peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0) return;
            ++accepted_;
            Connection connection;
            {
                const std::lock_guard lock(mutex_);
                connection.way = ways_.at(listeners_.at(listener));
                arrivals_[listeners_.at(listener)].push_back(std::chrono::steady_clock::now());
                if (peer.ss_family == AF_INET) {
                    last_peer_ = IpAddress::v4(ntohl(reinterpret_cast<sockaddr_in&>(peer).sin_addr.s_addr)).to_string();
                }
            }
            if (connection.way.behaviour == Behaviour::close || connection.way.behaviour == Behaviour::reset) {
                const linger at_once{1, 0};
                if (connection.way.behaviour == Behaviour::reset) {
                    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
                }
                ::close(fd);
                continue;
            }
            connections_[fd] = std::move(connection);
            most_ = std::max(most_.load(), connections_.size());
            watch(fd, EPOLLIN);
        }
    }

    void serve(int fd) {
        std::array<char, 4096> bytes{};
        const ssize_t got = ::recv(fd, bytes.data(), bytes.size(), 0);
        if (got < 0 && errno == EAGAIN) return;
        const auto at = connections_.find(fd);
        bool done = got <= 0;
        if (got > 0) {
            at->second.asked = true;
            const std::lock_guard lock(mutex_);
            last_request_.assign(bytes.data(), static_cast<std::size_t>(got));
        }
        const Way& way = at->second.way;
        if (!done && way.behaviour == Behaviour::answer) {
            ::send(fd, way.text.data(), way.text.size(), MSG_NOSIGNAL);
            done = true;
        } else if (!done && way.behaviour == Behaviour::huge) {
            const std::string bulk = "HTTP/1.1 200 OK\r\nX: " + std::string(200'000, 'x');
            ::send(fd, bulk.data(), bulk.size(), MSG_NOSIGNAL);
        }
        if (!done) return;
        ::close(fd);
        connections_.erase(at);
    }

    const int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    const int wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    std::map<int, unsigned> listeners_;
    std::map<int, Connection> connections_;  // the thread's
    std::atomic<bool> stopping_{false};
    std::atomic<std::uint64_t> accepted_{0};
    std::atomic<std::size_t> most_{0};
    mutable std::mutex mutex_;
    std::map<unsigned, Way> ways_;
    std::map<unsigned, std::vector<std::chrono::steady_clock::time_point>> arrivals_;
    std::string last_request_, last_peer_;
    std::thread thread_;
};

}  // namespace guideway::health::testing
