#include "tests/unit/api/client/fake_server.h"

#include <mutex>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <httplib.h>

namespace guideway::testing {

struct FakeServer::State {
    httplib::Server http;
    std::thread thread;
    int port = 0;
    mutable std::mutex mutex;
    std::map<std::string, std::vector<FakeAnswer>> answers;
    std::vector<SeenRequest> seen;

    void handle(const httplib::Request& request, httplib::Response& response) {
        const std::lock_guard lock(mutex);
        const std::string what = request.method + " " + request.target;
        seen.push_back({what, request.body, request.get_header_value("If-Match")});
        const auto found = answers.find(what);
        if (found == answers.end()) {
            response.status = 404;
            response.set_content(R"({"status": 404, "reason": "NotFound", "detail": "there is no such object"})",
                                 "application/problem+json");
            return;
        }
        response.status = found->second.front().status;
        response.set_content(found->second.front().body, "application/json");
        if (found->second.size() > 1) found->second.erase(found->second.begin());
    }
};

FakeServer::FakeServer() : state_(std::make_unique<State>()) {
    const auto handler = [this](const httplib::Request& request, httplib::Response& response) {
        state_->handle(request, response);
    };
    state_->http.set_tcp_nodelay(true);
    state_->http.Get(".*", handler);
    state_->http.Put(".*", handler);
    state_->http.Delete(".*", handler);
    state_->port = state_->http.bind_to_any_port("127.0.0.1");
    state_->thread = std::thread([this] { state_->http.listen_after_bind(); });
    // stop() before the loop runs would be lost.
    while (!state_->http.is_running()) std::this_thread::yield();
}

FakeServer::~FakeServer() {
    state_->http.stop();
    state_->thread.join();
}

void FakeServer::answer(const std::string& what, std::vector<FakeAnswer> answers) {
    const std::lock_guard lock(state_->mutex);
    state_->answers[what] = std::move(answers);
}

std::vector<SeenRequest> FakeServer::seen() const {
    const std::lock_guard lock(state_->mutex);
    return state_->seen;
}

std::string FakeServer::url() const { return "http://127.0.0.1:" + std::to_string(state_->port); }

std::string unreachable_url() {
    // Bound, never listened on, and closed: the kernel does not hand the same ephemeral port out soon.
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    const bool bound = ::bind(fd, generic, length) == 0 && ::getsockname(fd, generic, &length) == 0;
    ::close(fd);
    return "http://127.0.0.1:" + std::to_string(bound ? ntohs(address.sin_port) : 1);
}

}  // namespace guideway::testing
