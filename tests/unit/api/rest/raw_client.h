// RawClient: a client that writes and reads bytes as a test says; and the requests that tests of the server send.
// Thread contract: one thread each.
#pragma once

#include <arpa/inet.h>
#include <cstdint>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <nlohmann/json.hpp>

namespace guideway::rest {

inline constexpr const char* kNode = R"({"spec": {"addresses": ["10.0.2.11"]}})";
/// How long a test waits for what must come: long, so that it only ends there where it never comes.
inline constexpr int kGenerousMilliseconds = 20'000;

/// A client that writes and reads bytes as the test says.
class RawClient {
  public:
    /// `from`: the own address in 127.0.0.0/8, by its last byte.
    explicit RawClient(std::uint16_t port, std::uint8_t from = 1)
        : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in own{};
        own.sin_family = AF_INET;
        own.sin_addr.s_addr = htonl(0x7f000000U | from);
        ::bind(fd_, reinterpret_cast<sockaddr*>(&own), sizeof own);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
    }
    RawClient(RawClient&& other) noexcept : fd_(std::exchange(other.fd_, -1)), connected_(other.connected_) {}
    RawClient& operator=(RawClient&&) = delete;
    ~RawClient() {
        if (fd_ >= 0) ::close(fd_);
    }

    bool connected() const { return connected_; }
    int fd() const { return fd_; }
    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }
    /// Whether the server has closed it by now.
    bool closed() const {
        char byte = 0;
        return ::recv(fd_, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
    }
    /// All until the server closes.
    std::string read_all() {
        std::string out;
        char buffer[4096];
        while (wait()) {
            const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
            if (got <= 0) break;
            out.append(buffer, static_cast<std::size_t>(got));
        }
        return out;
    }
    /// Until `text` was seen, or the end.
    std::string read_until(std::string_view text) {
        std::string out;
        char byte = 0;
        while (out.find(text) == std::string::npos && wait() && ::recv(fd_, &byte, 1, 0) == 1) out += byte;
        return out;
    }

  private:
    bool wait() const {
        pollfd entry{fd_, POLLIN, 0};
        return ::poll(&entry, 1, kGenerousMilliseconds) > 0;
    }

    int fd_;
    bool connected_ = false;
};

inline std::string get(std::string_view path, std::string_view more = "") {
    return "GET " + std::string(path) + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" + std::string(more) + "\r\n";
}
inline std::string get_and_close(std::string_view path) { return get(path, "Connection: close\r\n"); }
inline std::string put(std::string_view path, std::string_view body, std::string_view more = "") {
    return "PUT " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
           std::string(more) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}
inline int status_of(const std::string& answer) { return answer.size() < 12 ? 0 : std::stoi(answer.substr(9, 3)); }
inline nlohmann::json body_of(const std::string& answer) {
    return nlohmann::json::parse(answer.substr(answer.find("\r\n\r\n") + 4), nullptr, false);
}

}  // namespace guideway::rest
