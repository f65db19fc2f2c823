// FakeDataplane: the dataplane's side of the Unix socket, with a memory instead of packets.
//
// What it "keeps on disk" survives stop() and start(). A thread for each connection; tests wait for conditions with until().
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <poll.h>
#include <set>
#include <string>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "api/contract/messages.h"

namespace guideway::testing_support {

/// A folder of its own, gone afterwards.
struct TemporaryFolder {
    TemporaryFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "guideway-test-XXXXXX").string();
        path = mkdtemp(name.data());
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    std::string file(const std::string& name) const { return (path / name).string(); }
    std::filesystem::path path;
};

class FakeDataplane {
  public:
    explicit FakeDataplane(std::string path) : path_(std::move(path)) {}
    ~FakeDataplane() { stop(); }
    FakeDataplane(const FakeDataplane&) = delete;
    FakeDataplane& operator=(const FakeDataplane&) = delete;

    void start() {
        ::unlink(path_.c_str());
        stop_event_ = eventfd(0, EFD_CLOEXEC);
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path_.c_str(), sizeof(address.sun_path) - 1);
        ASSERT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
        ASSERT_EQ(::listen(listener_, 16), 0);
        acceptor_ = std::thread([this] { accept_all(); });
    }
    /// As killed: every connection ends.
    void stop() {
        if (listener_ < 0) return;
        eventfd_write(stop_event_, 1);
        acceptor_.join();  // nobody new after this
        for (std::thread& client : clients_) client.join();
        clients_.clear();
        ::close(listener_);
        ::close(stop_event_);
        listener_ = -1;
    }

    /// Ends every connection, but goes on: who connects again is served.
    void cut() {
        const std::lock_guard lock(mutex_);
        for (const int client : open_) ::shutdown(client, SHUT_RDWR);
    }

    /// Waits until the condition, looked at under the lock, holds.
    bool until(const std::function<bool(const FakeDataplane&)>& condition) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return condition(*this); });
    }
    template <class Change>
    void with_lock(Change change) {
        const std::lock_guard lock(mutex_);
        change(*this);
    }

    // Under the lock (until(), with_lock()):
    std::optional<contract::ForwardingState> state;  ///< in force, and on "disk"
    std::vector<std::uint64_t> applied;              ///< generations, in order
    std::vector<contract::Fault> refuse_with;        ///< not empty: every apply is refused
    bool disk_full = false;                          ///< with refuse_with: refused, but in force
    bool silent = false;                             ///< takes requests and does not answer them
    contract::Counters counters;
    std::optional<contract::DataplaneStatus> status;  ///< none: it does not say
    unsigned counter_requests = 0;
    unsigned state_requests = 0;
    unsigned status_requests = 0;

  private:
    bool wait_readable(int socket) const {
        pollfd waits[2] = {{socket, POLLIN, 0}, {stop_event_, POLLIN, 0}};
        ::poll(waits, 2, -1);
        return waits[1].revents == 0;
    }
    void accept_all() {
        while (wait_readable(listener_)) {
            const int client = ::accept(listener_, nullptr, nullptr);
            with_lock([client](FakeDataplane& self) { self.open_.insert(client); });
            clients_.emplace_back([this, client] { serve(client); });
        }
    }
    void serve(int client) {
        std::string buffer;
        char chunk[65536];
        while (wait_readable(client)) {
            const ssize_t count = ::recv(client, chunk, sizeof(chunk), 0);
            if (count <= 0) break;
            buffer.append(chunk, static_cast<std::size_t>(count));
            for (std::size_t end; (end = buffer.find('\n')) != std::string::npos; buffer.erase(0, end + 1)) {
                const auto answer = answer_to(buffer.substr(0, end));
                if (!answer) continue;
                const std::string line = contract::encode(*answer) + "\n";
                for (std::size_t sent = 0; sent < line.size();) {
                    const ssize_t written = ::send(client, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
                    if (written <= 0) break;
                    sent += static_cast<std::size_t>(written);
                }
            }
        }
        with_lock([client](FakeDataplane& self) { self.open_.erase(client); });
        ::close(client);
    }
    std::optional<contract::Response> answer_to(const std::string& line) {
        const std::lock_guard lock(mutex_);
        auto request = contract::decode_request(line);
        contract::Response response;
        response.ok = request.ok();
        if (!request.ok()) {
            response.faults = request.faults;
        } else if (silent) {
            return std::nullopt;
        } else if (auto* apply = std::get_if<contract::ApplyRequest>(&*request.value)) {
            response.ok = refuse_with.empty();
            response.faults = refuse_with;
            applied.push_back(apply->state.generation);
            if (response.ok || disk_full) state = std::move(apply->state);
        } else if (std::holds_alternative<contract::StateRequest>(*request.value)) {
            ++state_requests;
            response.state = state;
        } else if (std::holds_alternative<contract::StatusRequest>(*request.value)) {
            ++status_requests;
            response.status = status;
        } else if (std::holds_alternative<contract::CountersRequest>(*request.value)) {
            ++counter_requests;
            response.counters = counters;
        } else if (const auto* explain = std::get_if<contract::ExplainRequest>(&*request.value)) {
            response.answer.emplace();
            response.answer->verdict = "kernel";
            response.answer->steps = {explain->destination.to_string() + " is no VIP"};
        }
        response.generation = state ? state->generation : 0;
        if (response.counters) response.counters->generation = response.generation;
        changed_.notify_all();
        return response;
    }

    std::string path_;
    int listener_ = -1;
    int stop_event_ = -1;
    std::thread acceptor_;
    std::vector<std::thread> clients_;  // the acceptor's until it is joined
    std::mutex mutex_;
    std::condition_variable changed_;
    std::set<int> open_;  // sockets of clients
};

}  // namespace guideway::testing_support
