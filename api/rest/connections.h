// Connections: accepts clients, gives each a thread, and keeps their number within the bounds by closing those that wait for
// their client (server.h says in which order).
//
// Terms. Idle: between requests. Reading: in a request or TLS handshake that is not complete. Sending: the client does not take what
// is sent. Answering: at work for the client; never closed to make room. Streaming: answering without end. Shut: told to end; no
// longer counted, though its thread may still be about to notice.
//
// Thread contract: listen() and stop() from one thread; enter() and stopping() from the connections' own threads.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>

#include "api/rest/listening_socket.h"
#include "api/rest/peer.h"
#include "api/rest/server.h"

namespace guideway::rest {

class Connections {
  public:
    using Clock = std::chrono::steady_clock;
    enum class State : std::uint8_t { idle, reading, sending, answering, streaming, shut };
    static constexpr std::size_t kStates = 6;

    /// A peer's connections; those that are shut are not among the counted.
    struct Count {
        std::size_t counted = 0;
        std::size_t all = 0;
    };

    struct Connection {
        int fd = -1;
        bool tls = false;
        Peer peer;

      private:
        friend class Connections;
        State state = State::idle;
        Clock::time_point since;
        Count* of_peer = nullptr;
        std::list<Connection*>::iterator place;
        std::thread thread;
    };

    /// Does everything for one client; returns when the connection is to be closed. May not throw.
    using Serve = std::function<void(Connection&)>;
    /// A connection that is not served: whom to tell what. The socket is closed after it.
    enum class Refusal : std::uint8_t { all_busy, peer_busy };
    using Refuse = std::function<void(int fd, bool tls, Refusal)>;

    Connections(const ServerOptions& options, RequestObserver* observer, Serve serve, Refuse refuse);
    Connections(const Connections&) = delete;
    Connections& operator=(const Connections&) = delete;
    ~Connections() { stop({}); }

    /// Takes the socket over and accepts from it until stop(). Empty: done; else what failed (the socket is closed).
    std::string listen(const ListeningSocket& socket, bool tls);
    /// Takes nothing new, calls `accepting_ended`, closes what waits for its client, returns when all others have ended.
    void stop(const std::function<void()>& accepting_ended);

    void enter(Connection& connection, State state);
    bool stopping() const;

  private:
    struct Listener {
        int fd = -1;
        bool tls = false;
        std::thread acceptor;
    };

    void accept_loop(const Listener& listener);
    void admit(int fd, bool tls, const sockaddr_storage& from);
    /// `of_peer`: one of this peer's; null: anybody's. False: nobody's can be closed.
    bool make_room(std::unique_lock<std::mutex>& lock, const Count* of_peer);
    Connection* victim(const Count* of_peer);
    void give_back(const std::string& peer);
    void move(Connection& connection, State state);
    void run(Connection& connection);
    void join_finished();
    void shed(std::string_view why) const;
    std::size_t counted() const { return connections_.size() - in(State::shut).size(); }
    std::list<Connection*>& in(State state) { return by_state_[static_cast<std::size_t>(state)]; }
    const std::list<Connection*>& in(State state) const { return by_state_[static_cast<std::size_t>(state)]; }

    const ServerOptions& options_;
    RequestObserver* const observer_;
    const Serve serve_;
    const Refuse refuse_;
    int stop_event_ = -1;
    std::list<Listener> listeners_;

    mutable std::mutex mutex_;  ///< of all below
    std::condition_variable changed_;
    std::list<Connection> connections_;
    std::list<Connection> finished_;                         ///< threads to join
    std::array<std::list<Connection*>, kStates> by_state_;   ///< each: the longest in it first
    std::unordered_map<std::string, Count> connections_of_;  ///< by Peer::key
    bool stopping_ = false;
};

}  // namespace guideway::rest
