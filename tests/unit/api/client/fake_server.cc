#include "tests/unit/api/client/fake_server.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cctype>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <list>
#include <mutex>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace guideway::testing {

namespace {

using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

Context tls_context(const TlsFiles& files) {
    Context context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
    if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
        throw std::runtime_error("the test's certificate cannot be used");
    }
    if (!files.client_ca.empty()) {
        SSL_CTX_load_verify_locations(context.get(), files.client_ca.c_str(), nullptr);
        SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    return context;
}

/// One client's socket, plain or TLS.
class Connection {
  public:
    Connection(int fd, SSL_CTX* context) : fd_(fd) {
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (context == nullptr) return;
        ssl_ = SSL_new(context);
        SSL_set_fd(ssl_, fd);
        good_ = SSL_accept(ssl_) == 1;
    }
    ~Connection() {
        if (ssl_ != nullptr) {
            if (good_) SSL_shutdown(ssl_);
            SSL_free(ssl_);
        }
        ::close(fd_);
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    bool good() const { return good_; }
    /// False: no more.
    bool read() {
        std::array<char, 4096> buffer;
        const auto got = ssl_ != nullptr ? SSL_read(ssl_, buffer.data(), static_cast<int>(buffer.size()))
                                         : static_cast<int>(::recv(fd_, buffer.data(), buffer.size(), 0));
        if (got <= 0) return false;
        input_.append(buffer.data(), static_cast<std::size_t>(got));
        return true;
    }
    void write(const std::string& text) {
        if (ssl_ != nullptr) {
            SSL_write(ssl_, text.data(), static_cast<int>(text.size()));
        } else {
            [[maybe_unused]] const auto sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
        }
    }
    std::string& input() { return input_; }
    void shut() const { ::shutdown(fd_, SHUT_RDWR); }

  private:
    int fd_;
    SSL* ssl_ = nullptr;
    bool good_ = true;
    std::string input_;
};

std::optional<SeenRequest> read_request(Connection& connection) {
    std::string& input = connection.input();
    std::size_t end = 0;
    while ((end = input.find("\r\n\r\n")) == std::string::npos) {
        if (!connection.read()) return std::nullopt;
        if (input.front() == '\x16') {  // TLS where there is none
            connection.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            return std::nullopt;
        }
    }
    SeenRequest request;
    const std::string head = input.substr(0, end + 2);
    input.erase(0, end + 4);
    const std::size_t first = head.find("\r\n");
    request.what = head.substr(0, head.rfind(" HTTP/", first));
    for (std::size_t at = first + 2; at < head.size();) {
        const std::size_t line_end = head.find("\r\n", at);
        const std::size_t colon = head.find(": ", at);
        std::string name = head.substr(at, colon - at);
        std::transform(name.begin(), name.end(), name.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        request.headers[name] = head.substr(colon + 2, line_end - colon - 2);
        at = line_end + 2;
    }
    const auto length = request.headers.find("content-length");
    const std::size_t size = length == request.headers.end() ? 0 : std::stoul(length->second);
    while (input.size() < size) {
        if (!connection.read()) return std::nullopt;
    }
    request.body = input.substr(0, size);
    input.erase(0, size);
    request.if_match = request.headers["if-match"];
    return request;
}

std::string chunk(const std::string& text) {
    std::array<char, 32> size{};
    std::snprintf(size.data(), size.size(), "%zx\r\n", text.size());
    return text.empty() ? std::string() : size.data() + text + "\r\n";
}

}  // namespace

struct FakeServer::State {
    Context context{nullptr, &SSL_CTX_free};
    int listener = -1;
    std::uint16_t port = 0;
    std::thread acceptor;
    std::list<std::thread> threads;

    mutable std::mutex mutex;
    mutable std::condition_variable changed;
    std::map<std::string, std::vector<FakeAnswer>> answers;
    std::vector<SeenRequest> seen;
    std::list<Connection*> open;     // all
    std::list<Connection*> waiting;  // between two requests
    std::size_t accepted = 0;
    std::string pushed;  // to streams; each remembers how far it has read
    std::uint64_t streams_ended = 0;
    bool ended = false;

    FakeAnswer take(const SeenRequest& request) {
        const std::lock_guard lock(mutex);
        seen.push_back(request);
        changed.notify_all();
        const auto found = answers.find(request.what);
        if (found == answers.end()) {
            return {404, R"({"status": 404, "reason": "NotFound", "detail": "there is no such object"})"};
        }
        FakeAnswer answer = found->second.front();
        if (found->second.size() > 1) found->second.erase(found->second.begin());
        return answer;
    }

    void stream(Connection& connection) {
        std::unique_lock lock(mutex);
        std::size_t at = pushed.size();
        const std::uint64_t mine = streams_ended;
        while (!ended && streams_ended == mine) {
            changed.wait(lock, [&] { return ended || streams_ended != mine || pushed.size() > at; });
            const std::string more = pushed.substr(at);
            at = pushed.size();
            lock.unlock();
            connection.write(chunk(more));
            lock.lock();
        }
    }

    /// False: the connection is over.
    bool serve(Connection& connection, const SeenRequest& request) {
        const FakeAnswer answer = take(request);
        if (answer.manner == Manner::drop) return false;
        if (answer.manner == Manner::stall) {
            std::unique_lock lock(mutex);
            changed.wait(lock, [&] { return ended; });
            return false;
        }
        std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " Status\r\n";
        bool typed = false;
        for (const auto& [name, value] : answer.headers) {
            head += name + ": " + value + "\r\n";
            typed = typed || name == "Content-Type";
        }
        if (!typed) head += "Content-Type: application/json\r\n";
        if (answer.manner == Manner::open) {
            connection.write(head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(answer.body));
            stream(connection);
            return false;
        }
        if (answer.status != 204) head += "Content-Length: " + std::to_string(answer.body.size()) + "\r\n";
        const bool half = answer.manner == Manner::half;
        connection.write(head + "\r\n" + answer.body.substr(0, half ? answer.body.size() / 2 : std::string::npos));
        return !half;
    }

    void run(int fd) {
        Connection connection(fd, context.get());
        {
            const std::lock_guard lock(mutex);
            open.push_back(&connection);
            if (ended) connection.shut();
        }
        while (connection.good()) {
            {
                const std::lock_guard lock(mutex);
                waiting.push_back(&connection);
                changed.notify_all();
            }
            const auto request = read_request(connection);
            {
                const std::lock_guard lock(mutex);
                waiting.remove(&connection);
            }
            if (!request || !serve(connection, *request)) break;
        }
        const std::lock_guard lock(mutex);
        open.remove(&connection);
    }

    void listen() {
        listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int on = 1;
        ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port);
        socklen_t length = sizeof address;
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        if (::bind(listener, generic, length) != 0 || ::listen(listener, 64) != 0 ||
            ::getsockname(listener, generic, &length) != 0) {
            throw std::runtime_error("cannot listen on 127.0.0.1");
        }
        port = ntohs(address.sin_port);
        ended = false;
        acceptor = std::thread([this] {
            while (true) {
                const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
                if (fd < 0) return;
                const std::lock_guard lock(mutex);
                ++accepted;
                threads.emplace_back([this, fd] { run(fd); });
            }
        });
    }

    void stop() {
        if (listener < 0) return;
        {
            const std::lock_guard lock(mutex);
            ended = true;
            for (const Connection* one : open) one->shut();
        }
        changed.notify_all();
        ::shutdown(listener, SHUT_RDWR);
        acceptor.join();
        ::close(listener);
        listener = -1;
        for (std::thread& one : threads) one.join();
        threads.clear();
    }
};

FakeServer::FakeServer() : state_(std::make_unique<State>()) { state_->listen(); }

FakeServer::FakeServer(const TlsFiles& tls) : state_(std::make_unique<State>()) {
    std::signal(SIGPIPE, SIG_IGN);
    state_->context = tls_context(tls);
    state_->listen();
}

FakeServer::~FakeServer() { state_->stop(); }

void FakeServer::answer(const std::string& what, std::vector<FakeAnswer> answers) {
    const std::lock_guard lock(state_->mutex);
    state_->answers[what] = std::move(answers);
}

void FakeServer::push(const std::string& text) {
    const std::lock_guard lock(state_->mutex);
    state_->pushed += text;
    state_->changed.notify_all();
}

void FakeServer::end_streams() {
    const std::lock_guard lock(state_->mutex);
    ++state_->streams_ended;
    state_->changed.notify_all();
}

void FakeServer::close_idle() {
    std::unique_lock lock(state_->mutex);
    // The client may have an answer before its connection is idle again.
    state_->changed.wait(lock, [&] { return state_->waiting.size() == state_->open.size(); });
    for (const Connection* one : state_->waiting) one->shut();
}

void FakeServer::stop() { state_->stop(); }
void FakeServer::start() { state_->listen(); }

std::vector<SeenRequest> FakeServer::seen() const {
    const std::lock_guard lock(state_->mutex);
    return state_->seen;
}

bool FakeServer::wait_for_requests(std::size_t count) const {
    std::unique_lock lock(state_->mutex);
    return state_->changed.wait_for(lock, std::chrono::seconds(10), [&] { return state_->seen.size() >= count; });
}

std::size_t FakeServer::connections() const {
    const std::lock_guard lock(state_->mutex);
    return state_->accepted;
}

std::string FakeServer::url() const {
    return (state_->context ? "https" : "http") + ("://127.0.0.1:" + std::to_string(state_->port));
}

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

std::string sse(const std::string& type, const std::string& id, const std::string& data) {
    return "event: " + type + "\n" + (id.empty() ? "" : "id: " + id + "\n") + "data: " + data + "\n\n";
}

FakeAnswer stream_of(const std::string& events) {
    return {200, events, {{"Content-Type", "text/event-stream"}}, Manner::open};
}

}  // namespace guideway::testing
