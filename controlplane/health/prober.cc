#include "controlplane/health/prober.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <random>
#include <set>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <spdlog/spdlog.h>

#include "controlplane/health/http_answer.h"
#include "controlplane/log_value.h"

namespace guideway::health {
namespace {

using Clock = std::chrono::steady_clock;

/// Kinds of results, as counted.
constexpr std::string_view kCountOk = "ok", kCountRefused = "refused", kCountTimeout = "timeout",
                           kCountStatus = "status", kCountBadAnswer = "bad_answer", kCountUnreachable = "unreachable",
                           kCountNotProbed = "not_probed";

constexpr int kHttpOk = 200;

/// One that joins, while it has no verdict: so many probes in an interval, and so many may fail.
constexpr unsigned kJoiningProbes = 20;

std::string text_of(int error) { return std::generic_category().message(error); }

std::string host_of(const Target& target) {
    const std::string address = target.address.to_string();
    return (target.address.is_v4() ? address : "[" + address + "]") + ":" + std::to_string(target.port);
}

std::string request_to(const Target& target) {
    return "GET /healthz HTTP/1.1\r\nHost: " + host_of(target) +
           "\r\nUser-Agent: guideway/" GUIDEWAY_VERSION "\r\nAccept: */*\r\nConnection: close\r\n\r\n";
}

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = 0;
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress socket_address(const IpAddress& address, std::uint16_t port) {
    SocketAddress out;
    if (address.is_v4()) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        std::memcpy(&v4.sin_addr, address.bytes.data(), sizeof v4.sin_addr);
        std::memcpy(&out.storage, &v4, sizeof v4);
        out.length = sizeof v4;
    } else {
        sockaddr_in6 v6{};
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        std::memcpy(&v6.sin6_addr, address.bytes.data(), sizeof v6.sin6_addr);
        std::memcpy(&out.storage, &v6, sizeof v6);
        out.length = sizeof v6;
    }
    return out;
}

/// The error is of this machine, not of the way to the node.
bool is_ours(int error) {
    switch (error) {
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
        case EADDRNOTAVAIL:  // no free port, or the source address is not here
        case EADDRINUSE:
        case EAGAIN:
        case EAFNOSUPPORT:
        case EPERM:  // a local filter
        case EACCES:
            return true;
        default:
            return false;
    }
}

struct Finding {
    Result result;
    std::string_view counted;
};

Finding finding_of(int error) {
    if (error == ECONNREFUSED) return {{false, kRefused, "the port is closed", {}}, kCountRefused};
    if (error == ETIMEDOUT) return {{false, kTimeout, "no answer in time", {}}, kCountTimeout};
    if (error == ECONNRESET || error == EPIPE) {
        return {{false, kBadAnswer, "the connection was reset before there was an answer", {}}, kCountBadAnswer};
    }
    return {{false, kUnreachable, text_of(error), {}}, kCountUnreachable};
}

Finding finding_of(const HttpAnswer& answer, bool wants_endpoints) {
    if (answer.status() == kHttpOk) {
        Result result{true, kOk, "answers 200", {}};
        if (wants_endpoints) result.endpoints = endpoints_of(answer.body());
        return {std::move(result), kCountOk};
    }
    const std::string status = std::to_string(answer.status());
    return {{false, "Status" + status, "answers " + status, {}}, kCountStatus};
}

}  // namespace

struct Prober::Wanted {
    bool all = false;  ///< `put` are all there are
    std::vector<Target> put;
    std::vector<std::string> gone;
};

/// What the thread alone touches.
class Prober::Loop {
  public:
    Loop(Prober& prober, int epoll)
        : prober_(prober),
          options_(prober.options_),
          epoll_(epoll),
          random_(options_.seed != 0 ? options_.seed : std::random_device{}()) {}
    ~Loop() {
        for (auto& [key, slot] : slots_) end(slot);
        ::close(epoll_);
    }

    void run() {
        std::array<epoll_event, 256> events{};
        for (;;) {
            std::vector<Wanted> wanted;
            {
                const std::lock_guard lock(prober_.mutex_);
                if (prober_.stopping_) return;
                wanted.swap(prober_.wanted_);
            }
            for (Wanted& one : wanted) take(std::move(one));
            start_waiting();
            tell();
            const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_time());
            for (int i = 0; i < count; ++i) {
                if (events[static_cast<std::size_t>(i)].data.ptr == nullptr) {
                    eventfd_t many = 0;
                    ::eventfd_read(prober_.wake_, &many);
                } else {
                    go_on(*static_cast<Slot*>(events[static_cast<std::size_t>(i)].data.ptr));
                }
            }
            // After the answers: one that is here is not late because this thread was.
            if (count < static_cast<int>(events.size())) look_at_clock();
        }
    }

  private:
    struct Slot {
        Target target;
        CheckState state;
        Clock::time_point timer;  ///< of timers_ or waiting_: when it is due; under way: when its time is over
        bool waiting = false;     ///< due, in waiting_
        int socket = -1;          ///< under way
        bool connected = false;
        std::string request;  ///< what is still to be sent
        std::optional<HttpAnswer> answer;
        Clock::time_point began;
    };
    using Timers = std::set<std::pair<Clock::time_point, Slot*>>;

    Clock::duration part_of_interval(double from, double to) {
        const double part = std::uniform_real_distribution<double>(from, to)(random_);
        return std::chrono::duration_cast<Clock::duration>(options_.interval * part);
    }

    void take(Wanted wanted) {
        if (wanted.all) {
            std::unordered_set<std::string_view> keys;
            for (const Target& target : wanted.put) keys.insert(target.key);
            for (auto at = slots_.begin(); at != slots_.end();) {
                at = keys.contains(at->first) ? std::next(at) : drop(at);
            }
        }
        for (const std::string& key : wanted.gone) {
            if (const auto at = slots_.find(key); at != slots_.end()) drop(at);
        }
        for (Target& target : wanted.put) {
            const auto at = slots_.find(target.key);
            if (at != slots_.end() && at->second.target == target) continue;
            if (at != slots_.end()) drop(at);
            Slot& slot = slots_[target.key];
            slot.target = std::move(target);
            slot.state = CheckState(std::chrono::system_clock::now());
            set_timer(slot, Clock::now() + (slot.target.joining ? Clock::duration::zero() : part_of_interval(0, 1)));
        }
    }

    std::unordered_map<std::string, Slot>::iterator drop(std::unordered_map<std::string, Slot>::iterator at) {
        Slot& slot = at->second;
        (slot.waiting ? waiting_ : timers_).erase({slot.timer, &slot});
        end(slot);
        return slots_.erase(at);
    }

    void set_timer(Slot& slot, Clock::time_point when) {
        slot.timer = when;
        timers_.emplace(when, &slot);
    }

    int wait_time() const {
        if (timers_.empty()) return -1;
        const auto left = timers_.begin()->first - Clock::now();
        if (left <= Clock::duration::zero()) return 0;
        return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count());
    }

    void look_at_clock() {
        const auto now = Clock::now();
        while (!timers_.empty() && timers_.begin()->first <= now) {
            Slot& slot = *timers_.begin()->second;
            if (slot.socket < 0) {
                timers_.erase(timers_.begin());
                slot.waiting = true;
                waiting_.emplace(slot.timer, &slot);
            } else if (now - slot.timer > options_.timeout / 2) {
                // Whoever was late here is this thread: the answer may have been waiting all the time.
                not_probed(slot, "the prober did not get to run in time");
            } else {
                const auto milliseconds = std::to_string(options_.timeout.count());
                finish(slot, {{false,
                               kTimeout,
                               slot.connected ? "no whole answer within " + milliseconds + " ms"
                                              : "no connection within " + milliseconds + " ms",
                               {}},
                              kCountTimeout});
            }
        }
    }

    void start_waiting() {
        while (!waiting_.empty() && under_way_ < options_.most_sockets) {
            Slot& slot = *waiting_.begin()->second;
            waiting_.erase(waiting_.begin());
            slot.waiting = false;
            begin(slot);
        }
    }

    void begin(Slot& slot) {
        const Target& target = slot.target;
        slot.began = Clock::now();
        set_timer(slot, slot.began + options_.timeout);
        slot.connected = false;
        slot.request = request_to(target);
        slot.answer.emplace(target.wants_endpoints);
        slot.socket =
            ::socket(target.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (slot.socket < 0) return not_probed(slot, "no socket: " + text_of(errno));
        ++under_way_;
        // Ended by a reset: no state is left behind here or on a node that never answers.
        const linger at_once{1, 0};
        ::setsockopt(slot.socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        if (options_.mark != 0 &&
            ::setsockopt(slot.socket, SOL_SOCKET, SO_MARK, &options_.mark, sizeof options_.mark) != 0) {
            return not_probed(slot, "cannot give probes the mark " + std::to_string(options_.mark) + ": " +
                                        text_of(errno) + (errno == EPERM ? " (CAP_NET_ADMIN is missing)" : ""));
        }
        const auto& source = target.address.is_v4() ? options_.source_ipv4 : options_.source_ipv6;
        if (source) {
            // The port is chosen when the target is known, so that one source address serves thousands of targets.
            const int on = 1;
            ::setsockopt(slot.socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
            const SocketAddress from = socket_address(*source, 0);
            if (::bind(slot.socket, from.get(), from.length) != 0) {
                return not_probed(
                    slot, "cannot probe from the source address " + source->to_string() + ": " + text_of(errno));
            }
        }
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT;
        event.data.ptr = &slot;
        if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, slot.socket, &event) != 0) {
            return not_probed(slot, "epoll: " + text_of(errno));
        }
        const SocketAddress to = socket_address(target.address, target.port);
        if (::connect(slot.socket, to.get(), to.length) != 0 && errno != EINPROGRESS) failed(slot, errno);
    }

    /// Something happened on its socket.
    void go_on(Slot& slot) {
        if (!slot.connected) {
            int error = 0;
            socklen_t length = sizeof error;
            ::getsockopt(slot.socket, SOL_SOCKET, SO_ERROR, &error, &length);
            if (error != 0) return failed(slot, error);
            slot.connected = true;
        }
        if (!slot.request.empty()) {
            const ssize_t sent = ::send(slot.socket, slot.request.data(), slot.request.size(), MSG_NOSIGNAL);
            if (sent < 0 && errno != EAGAIN && errno != EINTR) return failed(slot, errno);
            if (sent > 0) slot.request.erase(0, static_cast<std::size_t>(sent));
            if (!slot.request.empty()) return;
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.ptr = &slot;
            ::epoll_ctl(epoll_, EPOLL_CTL_MOD, slot.socket, &event);
        }
        std::array<char, HttpAnswer::kMostBytes> bytes;
        const ssize_t got = ::recv(slot.socket, bytes.data(), bytes.size(), 0);
        if (got < 0) {
            if (errno != EAGAIN && errno != EINTR) failed(slot, errno);
            return;
        }
        const auto progress = got == 0
                                  ? slot.answer->end()
                                  : slot.answer->feed(std::string_view(bytes.data(), static_cast<std::size_t>(got)));
        if (progress == HttpAnswer::Progress::bad) {
            finish(slot, {{false, kBadAnswer, slot.answer->error(), {}}, kCountBadAnswer});
        } else if (progress == HttpAnswer::Progress::complete) {
            finish(slot, finding_of(*slot.answer, slot.target.wants_endpoints));
        }
    }

    void failed(Slot& slot, int error) {
        if (is_ours(error)) {
            not_probed(slot, "cannot connect to " + host_of(slot.target) + ": " + text_of(error));
        } else {
            finish(slot, finding_of(error));
        }
    }

    void end(Slot& slot) {
        if (slot.socket < 0) return;
        ::close(slot.socket);
        slot.socket = -1;
        --under_way_;
    }

    /// The probe is over: its socket is closed and the next one has its time.
    void over(Slot& slot, std::string_view counted) {
        timers_.erase({slot.timer, &slot});
        end(slot);
        slot.answer.reset();
        const auto now = Clock::now();
        // Without a verdict yet, the next result is wanted sooner.
        const auto pause = !slot.state.undecided() ? part_of_interval(0.9, 1.1)
                           : slot.target.joining   ? Clock::duration(options_.interval) / kJoiningProbes
                                                   : part_of_interval(0.2, 0.3);
        set_timer(slot, std::max(now, slot.began + pause));
        if (prober_.on_probe_) prober_.on_probe_(counted, std::chrono::duration<double>(now - slot.began).count());
    }

    void finish(Slot& slot, Finding finding) {
        const bool healthy = slot.state.verdict().healthy;
        Thresholds thresholds = options_.thresholds;
        if (slot.target.joining && slot.state.undecided()) {
            thresholds.unhealthy_after = std::max(thresholds.unhealthy_after, kJoiningProbes);
        }
        if (slot.state.note(std::move(finding.result), thresholds, std::chrono::system_clock::now())) {
            changed_.push_back({slot.target, slot.state.verdict(), slot.state.verdict().healthy != healthy});
        }
        over(slot, finding.counted);
        if (!trouble_.empty()) set_trouble({});
    }

    void not_probed(Slot& slot, std::string why) {
        over(slot, kCountNotProbed);
        if (why != trouble_) {
            spdlog::warn("health probes cannot be made error={}", controlplane::log_value(why));
            set_trouble(std::move(why));
        }
    }

    void set_trouble(std::string why) {
        trouble_ = std::move(why);
        const std::lock_guard lock(prober_.mutex_);
        prober_.trouble_ = trouble_;
    }

    void tell() {
        if (changed_.empty()) return;
        prober_.on_change_(std::exchange(changed_, {}));
    }

    Prober& prober_;
    const ProberOptions& options_;
    const int epoll_;
    std::mt19937_64 random_;
    std::unordered_map<std::string, Slot> slots_;  // nodes of this map do not move
    Timers timers_, waiting_;                      // each slot is in one of them
    std::size_t under_way_ = 0;
    std::vector<Changed> changed_;
    std::string trouble_;
};

Prober::Prober(ProberOptions options, OnChange on_change, OnProbe on_probe)
    : options_(std::move(options)), on_change_(std::move(on_change)), on_probe_(std::move(on_probe)) {}

Prober::~Prober() {
    stop();
    if (wake_ >= 0) ::close(wake_);
}

std::string Prober::start() {
    wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = nullptr;
    if (wake_ < 0 || epoll < 0 || ::epoll_ctl(epoll, EPOLL_CTL_ADD, wake_, &event) != 0) {
        std::string why = "the health prober cannot start: " + text_of(errno);
        if (epoll >= 0) ::close(epoll);
        return why;
    }
    thread_ = std::thread([this, epoll] { Loop(*this, epoll).run(); });
    return {};
}

void Prober::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        if (wake_ >= 0) ::eventfd_write(wake_, 1);
    }
    if (thread_.joinable()) thread_.join();
}

void Prober::push(Wanted wanted) {
    const std::lock_guard lock(mutex_);
    if (wanted.all) wanted_.clear();
    wanted_.push_back(std::move(wanted));
    if (wake_ >= 0) ::eventfd_write(wake_, 1);
}

void Prober::set_targets(std::vector<Target> targets) { push({true, std::move(targets), {}}); }

void Prober::update(std::vector<Target> put, std::vector<std::string> gone) {
    if (put.empty() && gone.empty()) return;
    push({false, std::move(put), std::move(gone)});
}

std::string Prober::trouble() const {
    const std::lock_guard lock(mutex_);
    return trouble_;
}

}  // namespace guideway::health
