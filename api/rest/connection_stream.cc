#include "api/rest/connection_stream.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

namespace guideway::rest {

bool ConnectionStream::wait_for(Transport::Wait what, Clock::time_point deadline) const {
    const short events = what == Transport::Wait::readable ? POLLIN : POLLOUT;
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0) return false;
        pollfd entry{transport_.fd(), events, 0};
        const int ready = ::poll(&entry, 1, static_cast<int>(std::min<decltype(left)>(left, 60'000)));
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) return false;
    }
}

bool ConnectionStream::handshake() {
    const Clock::time_point deadline = Clock::now() + options_.handshake_timeout;
    while (true) {
        const Transport::Wait wait = transport_.handshake();
        if (wait == Transport::Wait::none) return true;
        if (wait == Transport::Wait::closed) {
            handshake_failure_ = transport_.handshake_failure();
            return false;
        }
        if (!wait_for(wait, deadline)) {
            handshake_failure_ = "timeout";
            return false;
        }
    }
}

bool ConnectionStream::fill(Clock::time_point deadline) {
    while (true) {
        const Transport::Outcome outcome = transport_.receive(input_.data(), input_.size());
        if (outcome.wait == Transport::Wait::none) {
            input_at_ = 0;
            input_end_ = outcome.bytes;
            return true;
        }
        if (outcome.wait == Transport::Wait::closed) {
            stop_ = Stop::closed;
            return false;
        }
        if (!wait_for(outcome.wait, deadline)) {
            stop_ = Stop::timed_out;
            return false;
        }
    }
}

bool ConnectionStream::wait_for_request() {
    stop_ = Stop::none;
    return input_at_ < input_end_ || fill(Clock::now() + options_.idle_timeout);
}

void ConnectionStream::begin_request() {
    deadline_ = Clock::now() + options_.request_timeout;
    head_bytes_ = body_bytes_ = 0;
    max_body_bytes_ = options_.max_body_bytes;
    line_bytes_ = 0;
    in_request_line_ = true;
    head_done_ = wrote_ = false;
    stop_ = Stop::none;
}

bool ConnectionStream::count(char byte) {
    if (head_done_) {
        if (++body_bytes_ > max_body_bytes_ + kBodyFraming) stop_ = Stop::body_too_large;
        return stop_ == Stop::none;
    }
    if (++head_bytes_ > options_.max_head_bytes) {
        stop_ = Stop::head_too_large;
        return false;
    }
    // Readers disagree on what these mean (RFC 9110 section 5.5); the library would end the line's text at a zero byte.
    if ((static_cast<unsigned char>(byte) < 0x20 && byte != '\r' && byte != '\n' && byte != '\t') || byte == 0x7f) {
        stop_ = Stop::head_invalid;
        return false;
    }
    if (byte == '\n') {
        head_done_ = !in_request_line_ && line_bytes_ == 0;
        in_request_line_ = false;
        line_bytes_ = 0;
    } else if (byte != '\r' && ++line_bytes_ > kMaxLineBytes) {
        stop_ = Stop::head_too_large;
        return false;
    }
    return true;
}

ssize_t ConnectionStream::read(char* to, std::size_t size) {
    if (stop_ != Stop::none) return -1;
    if (!output_.empty() && !flush()) return -1;
    if (input_at_ == input_end_) {
        // A client that always has the next bytes ready must not outlive its deadline either.
        if (Clock::now() >= deadline_) {
            stop_ = Stop::timed_out;
            return -1;
        }
        if (!fill(deadline_)) return stop_ == Stop::closed ? 0 : -1;
    }
    std::size_t taken = 0;
    while (taken < size && input_at_ < input_end_) {
        if (!count(input_[input_at_])) return -1;
        to[taken++] = input_[input_at_++];
    }
    return static_cast<ssize_t>(taken);
}

ssize_t ConnectionStream::write(const char* from, std::size_t size) {
    // A client that left in the middle of its request is not told that it did.
    if (stop_ == Stop::closed) return -1;
    wrote_ = true;
    if (discarding_) return static_cast<ssize_t>(size);
    output_.append(from, size);
    return static_cast<ssize_t>(size);
}

bool ConnectionStream::flush() {
    const Clock::time_point deadline = Clock::now() + options_.write_timeout;
    std::size_t sent = 0;
    bool blocked = false;
    while (sent < output_.size()) {
        const Transport::Outcome outcome = transport_.send(output_.data() + sent, output_.size() - sent);
        sent += outcome.bytes;
        if (outcome.wait == Transport::Wait::none) continue;
        if (outcome.wait != Transport::Wait::closed && !blocked) {
            blocked = true;
            if (on_blocked_) on_blocked_(true);
        }
        if (outcome.wait == Transport::Wait::closed || !wait_for(outcome.wait, deadline) || Clock::now() >= deadline) {
            stop_ = Stop::closed;
            break;
        }
    }
    if (blocked && on_blocked_) on_blocked_(false);
    const bool all = sent == output_.size() && stop_ != Stop::closed;
    output_.clear();
    return all;
}

void ConnectionStream::linger() {
    constexpr std::chrono::milliseconds kTime{1000};
    constexpr std::size_t kBytes = 4 * 1024 * 1024;
    transport_.end_sending();
    const Clock::time_point deadline = Clock::now() + kTime;
    stop_ = Stop::none;
    for (std::size_t read = 0; read < kBytes && Clock::now() < deadline; read += input_end_) {
        if (!fill(deadline)) return;
    }
}

namespace {

void name_of(const sockaddr_storage& address, std::string& ip, int& port) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (address.ss_family == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
        ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
        port = ntohs(v4.sin_port);
    } else if (address.ss_family == AF_INET6) {
        const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
        ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
        port = ntohs(v6.sin6_port);
    }
    ip = text.data();
}

}  // namespace

void ConnectionStream::get_remote_ip_and_port(std::string& ip, int& port) const {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    if (::getpeername(transport_.fd(), reinterpret_cast<sockaddr*>(&address), &length) == 0) name_of(address, ip, port);
}

void ConnectionStream::get_local_ip_and_port(std::string& ip, int& port) const {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    if (::getsockname(transport_.fd(), reinterpret_cast<sockaddr*>(&address), &length) == 0) name_of(address, ip, port);
}

}  // namespace guideway::rest
