#include "api/rest/connections.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <spdlog/spdlog.h>

namespace guideway::rest {
namespace {

/// So long a connection may be idle, or an answer be under way, before it is the first to go: a client that was just let in has not
/// had the time to ask.
constexpr std::chrono::seconds kGrace{1};
/// Threads of connections that were told to end and have not ended yet; beyond, new connections wait for them.
constexpr std::size_t kMaxEnding = 64;
/// Of a stopping server with clients that do not take their answers.
constexpr std::chrono::seconds kPatience{5};

}  // namespace

Connections::Connections(const ServerOptions& options, RequestObserver* observer, Serve serve, Refuse refuse)
    : options_(options), observer_(observer), serve_(std::move(serve)), refuse_(std::move(refuse)) {}

void Connections::shed(std::string_view why) const {
    if (observer_ != nullptr) observer_->connection_shed(why);
}

// ---------------------------------------------------------------------------------------------------- states

void Connections::move(Connection& connection, State state) {
    std::list<Connection*>& from = in(connection.state);
    std::list<Connection*>& to = in(state);
    to.splice(to.end(), from, connection.place);
    connection.state = state;
    connection.since = Clock::now();
}

void Connections::enter(Connection& connection, State state) {
    const std::lock_guard lock(mutex_);
    if (connection.state == State::shut) return;
    move(connection, state);
    // Nothing more is taken from a client that has not asked yet.
    if (stopping_ && (state == State::idle || state == State::reading)) ::shutdown(connection.fd, SHUT_RD);
}

bool Connections::stopping() const {
    const std::lock_guard lock(mutex_);
    return stopping_;
}

Connections::Connection* Connections::victim(const Count* of_peer) {
    const Clock::time_point now = Clock::now();
    const auto oldest = [&](State state, std::chrono::seconds at_least) -> Connection* {
        for (Connection* one : in(state)) {
            if (now - one->since < at_least) break;
            if (of_peer == nullptr || one->of_peer == of_peer) return one;
        }
        return nullptr;
    };
    if (Connection* idle = oldest(State::idle, kGrace)) return idle;
    if (Connection* reading = oldest(State::reading, {})) return reading;
    if (Connection* sending = oldest(State::sending, kGrace)) return sending;
    return oldest(State::idle, {});
}

bool Connections::make_room(std::unique_lock<std::mutex>& lock, const Count* of_peer) {
    Connection* one = nullptr;
    if (of_peer == nullptr) {
        // Of the client that has the most: many connections of a few must not push out the one of somebody else, who has
        // just come and has not had the time to ask.
        const auto most =
            std::max_element(connections_of_.begin(), connections_of_.end(),
                             [](const auto& a, const auto& b) { return a.second.counted < b.second.counted; });
        if (most != connections_of_.end()) one = victim(&most->second);
    }
    if (one == nullptr) one = victim(of_peer);
    if (one == nullptr) return false;
    move(*one, State::shut);
    --one->of_peer->counted;
    ::shutdown(one->fd, SHUT_RDWR);
    shed("gave_way");
    return changed_.wait_for(lock, std::chrono::seconds(1), [this] { return in(State::shut).size() <= kMaxEnding; });
}

void Connections::give_back(const std::string& peer) {
    const auto of = connections_of_.find(peer);
    if (--of->second.all == 0) connections_of_.erase(of);
}

// ----------------------------------------------------------------------------------------------- one connection

void Connections::run(Connection& connection) {
    if (observer_ != nullptr) observer_->connections(1);
    serve_(connection);
    if (observer_ != nullptr) observer_->connections(-1);
    const std::lock_guard lock(mutex_);
    ::close(connection.fd);
    connection.fd = -1;
    if (connection.state != State::shut) --connection.of_peer->counted;
    give_back(connection.peer.key);
    in(connection.state).erase(connection.place);
    const auto self = std::find_if(connections_.begin(), connections_.end(),
                                   [&](const Connection& other) { return &other == &connection; });
    finished_.splice(finished_.end(), connections_, self);
    changed_.notify_all();
}

void Connections::admit(int fd, bool tls, const sockaddr_storage& from) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const Peer peer = peer_of(from);
    const std::size_t own_bound =
        peer.loopback ? options_.max_connections_per_loopback_peer : options_.max_connections_per_peer;
    std::unique_lock lock(mutex_);
    // From here on the entry stays, though the lock is given up for moments.
    Count& count = connections_of_[peer.key];
    ++count.all;
    const auto refuse = [&](Refusal why) {
        give_back(peer.key);
        lock.unlock();
        shed(why == Refusal::all_busy ? "all_busy" : "peer_busy");
        refuse_(fd, tls, why);
        ::close(fd);
    };
    if (count.counted >= own_bound && !make_room(lock, &count)) return refuse(Refusal::peer_busy);
    if (counted() >= options_.max_connections && !make_room(lock, nullptr)) return refuse(Refusal::all_busy);
    Connection& connection = connections_.emplace_back();
    connection.fd = fd;
    connection.tls = tls;
    connection.peer = peer;
    connection.of_peer = &count;
    connection.since = Clock::now();
    in(State::idle).push_back(&connection);
    connection.place = std::prev(in(State::idle).end());
    try {
        connection.thread = std::thread([this, &connection] { run(connection); });
        ++count.counted;
    } catch (const std::system_error& error) {
        spdlog::error("no thread for a connection: {}", error.what());
        in(State::idle).erase(connection.place);
        connections_.pop_back();
        refuse(Refusal::all_busy);
    }
}

void Connections::join_finished() {
    std::list<Connection> finished;
    {
        const std::lock_guard lock(mutex_);
        finished.swap(finished_);
    }
    for (Connection& connection : finished) connection.thread.join();
}

// ------------------------------------------------------------------------------------------------ accepting

void Connections::accept_loop(const Listener& listener) {
    constexpr int kForever = -1;
    constexpr int kRetryMilliseconds = 50;
    int timeout = kForever;
    while (true) {
        std::array<pollfd, 2> entries{{{stop_event_, POLLIN, 0}, {listener.fd, POLLIN, 0}}};
        // After a shortage the listening socket stays readable: only the stop is waited for, briefly.
        if (::poll(entries.data(), timeout == kForever ? 2 : 1, timeout) < 0 && errno != EINTR) break;
        if (entries[0].revents != 0) break;
        timeout = kForever;
        sockaddr_storage from{};
        socklen_t length = sizeof from;
        const int fd =
            ::accept4(listener.fd, reinterpret_cast<sockaddr*>(&from), &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
        const int error = errno;
        join_finished();
        if (fd >= 0) {
            admit(fd, listener.tls, from);
        } else if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
            spdlog::warn("no connection accepted: {}", std::system_category().message(error));
            std::unique_lock lock(mutex_);
            make_room(lock, nullptr);
            timeout = kRetryMilliseconds;
        }
        // Anything else concerns the one connection that is gone again.
    }
}

std::string Connections::listen(const ListeningSocket& socket, bool tls) {
    if (stop_event_ < 0) stop_event_ = ::eventfd(0, EFD_CLOEXEC);
    if (stop_event_ < 0) {
        const int error = errno;
        ::close(socket.fd);
        return "cannot make an eventfd: " + std::system_category().message(error);
    }
    {
        const std::lock_guard lock(mutex_);
        stopping_ = false;
    }
    Listener& listener = listeners_.emplace_back();
    listener.fd = socket.fd;
    listener.tls = tls;
    listener.acceptor = std::thread([this, &listener] { accept_loop(listener); });
    return {};
}

void Connections::stop(const std::function<void()>& accepting_ended) {
    if (listeners_.empty()) return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(stop_event_, &one, sizeof one);
    for (Listener& listener : listeners_) {
        listener.acceptor.join();
        ::close(listener.fd);
    }
    listeners_.clear();
    ::close(stop_event_);
    stop_event_ = -1;
    if (accepting_ended) accepting_ended();
    {
        std::unique_lock lock(mutex_);
        stopping_ = true;
        for (const State state : {State::idle, State::reading}) {
            for (const Connection* connection : in(state)) ::shutdown(connection->fd, SHUT_RD);
        }
        const auto ended = [this] { return connections_.empty(); };
        if (!changed_.wait_for(lock, kPatience, ended)) {
            for (const Connection* connection : in(State::sending)) ::shutdown(connection->fd, SHUT_RDWR);
            changed_.wait(lock, ended);
        }
    }
    join_finished();
}

}  // namespace guideway::rest
