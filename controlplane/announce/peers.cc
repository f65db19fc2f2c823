#include "controlplane/announce/peers.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <functional>
#include <optional>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

#include <nlohmann/json.hpp>

namespace guideway::announce {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{2};
constexpr std::size_t kLongestAnswer = std::size_t{8} << 20;
constexpr const char* kUnknown = "unknown to the daemon";

struct Answer {
    std::string text;
    std::string error;
};

/// A stream socket of a daemon; each call has the same end.
class DaemonSocket {
  public:
    explicit DaemonSocket(const std::string& path) : path_(path), end_(Clock::now() + kPatience) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (path.size() >= sizeof address.sun_path) {
            error_ = path + ": too long for a socket's path";
            return;
        }
        std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
        fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        // A daemon that hangs takes no connections: once its queue is full, connect() would wait for ever.
        const timeval patience{kPatience.count(), 0};
        if (fd_ >= 0) ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (fd_ < 0 || ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
            error_ = path + ": " + (errno == EAGAIN ? "no connection within 2 s" : std::strerror(errno));
        }
    }
    ~DaemonSocket() {
        if (fd_ >= 0) ::close(fd_);
    }
    DaemonSocket(const DaemonSocket&) = delete;
    DaemonSocket& operator=(const DaemonSocket&) = delete;

    const std::string& error() const { return error_; }

    /// Sends and reads until `whole(what came since)`.
    Answer ask(std::string_view request, const std::function<bool(std::string_view)>& whole) {
        if (!error_.empty()) return {{}, error_};
        if (!request.empty() &&
            ::send(fd_, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
            return {{}, path_ + ": the question cannot be sent: " + std::strerror(errno)};
        }
        std::string text;
        while (!whole(text)) {
            pollfd wait{fd_, POLLIN, 0};
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_ - Clock::now()).count();
            if (left <= 0 || ::poll(&wait, 1, static_cast<int>(left)) <= 0)
                return {{}, path_ + ": no whole answer within 2 s"};
            char block[16384];
            const ssize_t got = ::recv(fd_, block, sizeof block, 0);
            if (got <= 0) return {{}, path_ + ": the daemon closed the connection"};
            text.append(block, static_cast<std::size_t>(got));
            if (text.size() > kLongestAnswer) return {{}, path_ + ": an answer of more than 8 MiB"};
        }
        return {std::move(text), {}};
    }

  private:
    std::string path_;
    Clock::time_point end_;
    int fd_ = -1;
    std::string error_;
};

/// BIRD's answers end with a line of a code and a blank: "0000 ", "9001 syntax error".
bool bird_is_whole(std::string_view text) {
    if (text.empty() || text.back() != '\n') return false;
    text.remove_suffix(1);
    const std::string_view last = text.substr(text.rfind('\n') + 1);
    return last.size() >= 5 && last[4] == ' ' &&
           std::all_of(last.begin(), last.begin() + 4, [](char c) { return c >= '0' && c <= '9'; });
}

std::string_view trimmed(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> words;
    while (!(text = trimmed(text)).empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        words.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return words;
}

/// "Routes:         0 imported, 3 exported, 0 preferred" -> 3
std::uint64_t exported(std::string_view text) {
    const auto words = words_of(text);
    for (std::size_t i = 1; i < words.size(); ++i) {
        std::uint64_t value = 0;
        if (words[i].starts_with("exported") &&
            std::from_chars(words[i - 1].data(), words[i - 1].data() + words[i - 1].size(), value).ec == std::errc()) {
            return value;
        }
    }
    return 0;
}

std::vector<PeerState> nothing_known(const BgpSettings& settings) {
    std::vector<PeerState> out;
    for (const BgpPeer& peer : settings.peers)
        out.push_back({peer.name, peer.address, peer.asn, false, kUnknown, {}, 0, {}});
    return out;
}

std::string text_in(const nlohmann::json& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

}  // namespace

std::variant<std::vector<PeerState>, std::string> read_bird(std::string_view answer, const BgpSettings& settings) {
    std::vector<PeerState> out = nothing_known(settings);
    PeerState* current = nullptr;
    while (!answer.empty()) {
        const std::size_t end = std::min(answer.find('\n'), answer.size());
        std::string_view line = answer.substr(0, end);
        answer.remove_prefix(std::min(end + 1, answer.size()));
        const bool coded = line.size() >= 5 && line[0] >= '0' && line[0] <= '9' && (line[4] == '-' || line[4] == ' ');
        const std::string_view code = coded ? line.substr(0, 4) : std::string_view();
        if (coded && code[0] >= '8') return "BIRD answers: " + std::string(line.substr(5));
        const std::string_view text = trimmed(coded ? line.substr(5) : line);
        if (code == "1002") {
            const auto words = words_of(text);
            current = nullptr;
            if (words.size() < 5 || words[1] != "BGP") continue;
            const auto at =
                std::find_if(out.begin(), out.end(), [&](const PeerState& one) { return one.name == words[0]; });
            if (at == out.end()) continue;
            current = &*at;
            current->state = words[3];
            current->since = words[4];
            continue;
        }
        if (current == nullptr) continue;
        const auto after = [&](std::string_view head) {
            return text.starts_with(head) ? std::optional(trimmed(text.substr(head.size()))) : std::nullopt;
        };
        if (const auto state = after("BGP state:")) {
            current->state = *state;
            current->established = *state == "Established";
        } else if (const auto error = after("Last error:")) {
            current->last_error = *error;
        } else if (const auto routes = after("Routes:")) {
            current->routes += exported(*routes);
        }
    }
    return out;
}

std::variant<std::vector<PeerState>, std::string> read_frr(std::string_view answer, const BgpSettings& settings) {
    std::vector<PeerState> out = nothing_known(settings);
    const auto document = nlohmann::json::parse(answer.begin(), answer.end(), nullptr, false);
    if (!document.is_object()) return std::string("bgpd's answer is not understood");
    for (PeerState& peer : out) {
        const auto at = document.find(peer.address.to_string());
        if (at == document.end() || !at->is_object()) continue;
        peer.state = text_in(*at, "bgpState");
        peer.established = peer.state == "Established";
        peer.since = text_in(*at, "bgpTimerUpString");
        peer.last_error = peer.established ? std::string() : text_in(*at, "lastResetDueTo");
        const auto families = at->find("addressFamilyInfo");
        if (families == at->end() || !families->is_object()) continue;
        for (const auto& family : *families) {
            const auto sent = family.is_object() ? family.find("sentPrefixCounter") : family.end();
            if (family.is_object() && sent != family.end() && sent->is_number_unsigned())
                peer.routes += sent->get<std::uint64_t>();
        }
    }
    return out;
}

std::variant<std::vector<PeerState>, std::string> ask_peers(const BgpSettings& settings) {
    if (settings.daemon == Daemon::bird) {
        DaemonSocket bird(settings.socket);
        if (Answer greeting = bird.ask({}, bird_is_whole); !greeting.error.empty()) return greeting.error;
        Answer answer = bird.ask("show protocols all\n", bird_is_whole);
        if (!answer.error.empty()) return answer.error;
        return read_bird(answer.text, settings);
    }
    // Of vtysh's protocol: a command ends with a zero byte, an answer with three of them and the status.
    const auto frr_is_whole = [](std::string_view text) {
        return text.size() >= 4 && text.substr(text.size() - 4, 3) == std::string_view("\0\0\0", 3);
    };
    DaemonSocket bgpd(settings.socket + "/bgpd.vty");
    if (Answer enabled = bgpd.ask(std::string_view("enable\0", 7), frr_is_whole); !enabled.error.empty())
        return enabled.error;
    constexpr std::string_view kQuestion("show bgp neighbors json\0", 24);
    Answer answer = bgpd.ask(kQuestion, frr_is_whole);
    if (!answer.error.empty()) return answer.error;
    answer.text.resize(answer.text.size() - 4);
    return read_frr(answer.text, settings);
}

}  // namespace guideway::announce
