// trace and capture: packets on their way through the dataplane, in words or as a pcapng file.
#include "api/cli/tap.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <functional>
#include <thread>
#include <unistd.h>
#include <utility>

#include "api/cli/commands.h"
#include "api/cli/drop_help.h"
#include "api/cli/pcapng.h"
#include "api/cli/text.h"
#include "api/client/dataplane_socket.h"
#include "api/contract/tap_codec.h"
#include "api/json/writer.h"

namespace guideway::cli {

namespace {

constexpr const char* kTapSocket = "/run/guideway/dataplane.sock";
constexpr const char* kTapEndForm =
    "ADDRESS, PREFIX/LENGTH, either with :PORT, or :PORT alone: 203.0.113.1:80, 192.0.2.0/24, [2001:db8::1]:80, :443";

volatile std::sig_atomic_t g_interrupted = 0;

/// While it lives Ctrl-C ends the loop and not the program, so that the summary is told and the file is whole.
class UntilInterrupted {
  public:
    UntilInterrupted() {
        g_interrupted = 0;
        struct sigaction action {};
        action.sa_handler = [](int) { g_interrupted = 1; };
        sigaction(SIGINT, &action, &interrupt_);
        sigaction(SIGTERM, &action, &terminate_);
    }
    ~UntilInterrupted() {
        sigaction(SIGINT, &interrupt_, nullptr);
        sigaction(SIGTERM, &terminate_, nullptr);
    }
    UntilInterrupted(const UntilInterrupted&) = delete;
    UntilInterrupted& operator=(const UntilInterrupted&) = delete;

  private:
    struct sigaction interrupt_ {};
    struct sigaction terminate_ {};
};

/// Where a capture goes: written as it comes, so that what was caught before a crash is there.
class CaptureFile {
  public:
    CaptureFile(const std::string& path, bool replace) : name_(path == "-" ? "standard output" : path) {
        if (path == "-") {
            fd_ = STDOUT_FILENO;
            return;
        }
        fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | (replace ? O_TRUNC : O_EXCL), 0600);
        if (fd_ >= 0) return;
        error_ = errno == EEXIST ? path + " is there already; give another file, or --force to replace it"
                                 : "cannot open " + path + ": " + std::strerror(errno);
    }
    ~CaptureFile() {
        if (fd_ > STDERR_FILENO) ::close(fd_);
    }
    CaptureFile(const CaptureFile&) = delete;
    CaptureFile& operator=(const CaptureFile&) = delete;

    bool write(std::string_view bytes) {
        while (error_.empty() && !bytes.empty()) {
            const ssize_t sent = ::write(fd_, bytes.data(), bytes.size());
            if (sent >= 0) {
                bytes.remove_prefix(static_cast<std::size_t>(sent));
            } else if (errno != EINTR) {
                error_ = "cannot write " + name_ + ": " + std::strerror(errno);
            }
        }
        return error_.empty();
    }
    const std::string& error() const { return error_; }

  private:
    std::string name_;
    int fd_ = -1;
    std::string error_;
};

std::string capital_letters(std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return text;
}

/// False: told what is wrong, and `code` is set.
bool read_tap(const Session& session, contract::TapRequest& request, const char* command, int& code) {
    const CliOptions& options = session.options;
    contract::TapFilter& filter = request.filter;
    filter.protocol = capital_letters(options.tap_protocol);
    const auto end_of = [&](const char* option, const std::string& text, std::optional<IpPrefix>& prefix,
                            std::uint16_t& port) {
        if (text.empty()) return true;
        const auto end = parse_tap_end(text);
        if (!end) {
            code = session.wrong(option, text, kTapEndForm);
            return false;
        }
        prefix = end->prefix;
        port = end->port;
        return true;
    };
    if (!end_of("--source", options.source, filter.source, filter.source_port) ||
        !end_of("--destination", options.destination, filter.destination, filter.destination_port))
        return false;
    if (filter.source && filter.destination && filter.source->address.family != filter.destination->address.family) {
        code = session.wrong("--destination", options.destination, "an address of the source's family");
        return false;
    }
    if (filter.protocol == "ICMP" && (filter.source_port != 0 || filter.destination_port != 0)) {
        code = session.wrong(filter.source_port != 0 ? "--source" : "--destination",
                             filter.source_port != 0 ? options.source : options.destination,
                             "no port together with --protocol icmp");
        return false;
    }
    if (!options.reason.empty() && drop_help_of(options.reason) == nullptr) {
        code = session.wrong("--reason", options.reason, "a name of the list that guideway drops --all shows");
        return false;
    }
    filter.port = options.device;
    filter.drops = options.drops_only;
    filter.reason = options.reason;
    request.count = options.count;
    request.seconds = options.seconds;
    request.rate = options.rate;
    request.who = std::string("guideway ") + command + " (process " + std::to_string(::getpid()) + ")";
    return true;
}

using TakeRecords = std::function<bool(const contract::TapAnswer& answer)>;

/// Until the tap's bounds, Ctrl-C, or `take` wants no more; `last` is the last answer. The exit code.
int follow(Session& session, const contract::TapRequest& request, const TakeRecords& take, contract::TapAnswer& last) {
    constexpr std::chrono::milliseconds kBetween{20};
    const UntilInterrupted until;
    client::DataplaneSocket dataplane(session.options.socket.empty() ? kTapSocket : session.options.socket);
    auto response = dataplane.ask(request);
    if (!response.ok()) {
        const auto& faults = response.problem().faults;
        // In the words of who typed it.
        if (faults.size() == 1 && faults[0].field == "/tap/filter/port")
            return session.misused("--port: " + faults[0].message);
        if (faults.size() == 1 && faults[0].field == "/tap") {
            session.err() << "guideway: the dataplane's tap is " << printable(faults[0].message) << '\n';
            return kFailed;
        }
        return session.failed(response.problem());
    }
    session.err() << "Looking, for at most " << request.count << " packets and " << request.seconds
                  << " seconds; Ctrl-C ends it." << std::endl;
    for (;;) {
        response = dataplane.ask(contract::TapReadRequest{});
        if (!response.ok()) return session.failed(response.problem());
        last = response.value().tap.value_or(contract::TapAnswer{});
        if (!take(last) || !last.ended.empty() || g_interrupted != 0) return kOk;
        if (last.records.empty()) std::this_thread::sleep_for(kBetween);
    }
}

std::string clock_text(std::uint64_t time_ns) {
    const auto seconds = static_cast<std::time_t>(time_ns / 1'000'000'000);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 48> text{};
    const std::size_t length = std::strftime(text.data(), text.size(), "%H:%M:%S", &parts);
    std::snprintf(text.data() + length, text.size() - length, ".%09u", static_cast<unsigned>(time_ns % 1'000'000'000));
    return text.data();
}

}  // namespace

std::optional<TapEnd> parse_tap_end(std::string_view text) {
    TapEnd end;
    std::string_view host = text;
    const auto bracket = text.starts_with('[') ? text.find(']') : std::string_view::npos;
    if (text.starts_with('[') && bracket == std::string_view::npos) return std::nullopt;
    // The colons of an IPv6 address without brackets are all its own.
    const auto colon = bracket != std::string_view::npos    ? text.find(':', bracket)
                       : std::ranges::count(text, ':') == 1 ? text.find(':')
                                                            : std::string_view::npos;
    if (colon != std::string_view::npos) {
        const std::string_view digits = text.substr(colon + 1);
        unsigned port = 0;
        const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
        if (digits.empty() || error != std::errc{} || stop != digits.data() + digits.size() || port == 0 ||
            port > 65535)
            return std::nullopt;
        end.port = static_cast<std::uint16_t>(port);
        host = text.substr(0, colon);
        if (host.empty()) return end;
    }
    if (bracket != std::string_view::npos) {
        if (host.back() != ']') return std::nullopt;
        host = host.substr(1, host.size() - 2);
    }
    if (const auto address = IpAddress::parse(host)) {
        end.prefix = IpPrefix{*address, static_cast<std::uint8_t>(address->bits())};
    } else if (const auto prefix = IpPrefix::parse(host)) {
        end.prefix = prefix->network();
    } else {
        return std::nullopt;
    }
    if (bracket != std::string_view::npos && end.prefix->address.is_v4()) return std::nullopt;
    return end;
}

void show_traced(std::ostream& out, const contract::TapRecord& record) {
    out << clock_text(record.time_ns) << " worker " << record.worker << "  in by " << printable(record.in.port)
        << (record.taken_over ? ", handed over" : "") << "  " << printable(record.in.packet) << ", " << record.in.length
        << " bytes\n";
    for (const std::string& step : record.steps) out << "    " << printable(step) << '\n';
    out << "    = " << printable(record.verdict) << (record.reason.empty() ? "" : " as " + printable(record.reason))
        << '\n';
    if (const DropHelp* help = record.reason.empty() ? nullptr : drop_help_of(record.reason))
        out << "      " << help->means << "\n      -> " << help->advice << '\n';
    out << '\n';
}

std::string pcapng_of(const contract::TapRecord& record, const std::vector<std::string>& ports) {
    std::string blocks;
    // Seen again, with what became of it, at the worker that owns its connection.
    if (record.verdict == "handed_over") return blocks;
    const auto add = [&](const contract::TapFrame& frame, bool outbound, const std::string& comment) {
        const auto port = std::ranges::find(ports, frame.port);
        if (port == ports.end()) return;
        const auto number = static_cast<std::uint32_t>(port - ports.begin()) * 2 + (outbound ? 1 : 0);
        blocks += pcapng_packet({number, record.time_ns, frame.length, frame.bytes, comment, outbound});
    };
    std::string about = record.verdict + (record.reason.empty() ? "" : " as " + record.reason);
    if (!record.service.empty()) about += "; service " + record.service;
    if (!record.backend.empty()) about += ", backend " + record.backend;
    about += "; worker " + std::to_string(record.worker);
    add(record.in, false, about);
    const bool forwards = record.verdict == "forwarded" || record.verdict == "held";
    for (const contract::TapFrame& frame : record.out) add(frame, true, (forwards ? "" : "the answer; ") + about);
    return blocks;
}

std::string tap_summary(const contract::TapAnswer& last, std::uint64_t shown, const std::string& done) {
    const auto packets = [](std::uint64_t count) {
        return std::to_string(count) + (count == 1 ? " packet " : " packets ");
    };
    std::string text = packets(shown) + done + " of " + std::to_string(last.matched) + " that were looked for";
    if (last.over_rate != 0) text += "; " + std::to_string(last.over_rate) + " came faster than --rate";
    if (last.not_looked_at != 0)
        text += "; " + std::to_string(last.not_looked_at) + " came faster than a worker follows";
    if (last.lost != 0) text += "; " + std::to_string(last.lost) + " lost, nobody fetched them in time";
    if (last.ended == "count") text += "; ended by --count";
    if (last.ended == "seconds") text += "; ended by --seconds";
    return text + ".";
}

int trace(Session& session) {
    const CliOptions& options = session.options;
    if (options.output != "table" && options.output != "wide" && options.output != "json")
        return session.wrong("--output", options.output, "table, or json: one object a line");
    contract::TapRequest request;
    int code = kOk;
    if (!read_tap(session, request, "trace", code)) return code;
    request.bytes = options.snap != 0 ? options.snap : 128;
    request.steps = true;
    std::uint64_t shown = 0;
    contract::TapAnswer last;
    code = follow(
        session, request,
        [&](const contract::TapAnswer& answer) {
            for (const contract::TapRecord& record : answer.records) {
                if (options.output == "json") {
                    json::Writer line;
                    contract::put(line, record);
                    session.out() << line.take() << '\n';
                } else {
                    show_traced(session.out(), record);
                }
            }
            shown += answer.records.size();
            session.out().flush();
            return static_cast<bool>(session.out());
        },
        last);
    if (code == kOk) session.err() << tap_summary(last, shown, "shown") << '\n';
    return code;
}

int capture(Session& session) {
    const CliOptions& options = session.options;
    contract::TapRequest request;
    int code = kOk;
    if (!read_tap(session, request, "capture", code)) return code;
    request.bytes = options.snap != 0 ? options.snap : 2048;
    const std::string path = options.file.empty() ? "-" : options.file;
    if (path == "-" && ::isatty(STDOUT_FILENO) != 0)
        return session.misused("wanted -w FILE, or a pipe: a capture is not for a terminal");
    std::optional<CaptureFile> file;
    std::uint64_t written = 0;
    contract::TapAnswer last;
    code = follow(
        session, request,
        [&](const contract::TapAnswer& answer) {
            std::string blocks;
            if (!file) {  // once the dataplane agreed: a refusal leaves no file
                file.emplace(path, options.force);
                blocks = pcapng_section("guideway " GUIDEWAY_VERSION);
                for (const std::string& port : answer.ports) {
                    for (const char* way : {" in", " out"}) blocks += pcapng_interface(port + way, request.bytes);
                }
            }
            for (const contract::TapRecord& record : answer.records) blocks += pcapng_of(record, answer.ports);
            written += answer.records.size();
            return file->write(blocks);
        },
        last);
    if (code != kOk) return code;
    if (file && !file->error().empty()) {
        session.err() << "guideway: " << file->error() << '\n';
        return kFailed;
    }
    session.err() << tap_summary(last, written, path == "-" ? "written" : "written to " + path) << '\n';
    return kOk;
}

}  // namespace guideway::cli
