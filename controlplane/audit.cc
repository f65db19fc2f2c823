#include "controlplane/audit.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <ctime>
#include <deque>
#include <fcntl.h>
#include <mutex>
#include <sys/stat.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "controlplane/log_value.h"

namespace guideway::controlplane {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

std::string timestamp(std::chrono::system_clock::time_point time) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count() % 1000;
    std::array<char, 8> fraction{};
    std::snprintf(fraction.data(), fraction.size(), ".%03dZ", static_cast<int>(milliseconds));
    return std::string(text.data()) + fraction.data();
}

void hide_secrets(Json& value) {
    if (value.is_array()) {
        for (Json& one : value) hide_secrets(one);
    } else if (value.is_object()) {
        for (const char* name : {"token", "secret", "secrets", "sha256", "hash", "password"}) value.erase(name);
        for (auto& [name, one] : value.items()) hide_secrets(one);
    }
}

Json parse(const std::optional<std::string>& document) {
    if (!document) return nullptr;
    Json value = Json::parse(*document, nullptr, false);
    if (value.is_discarded()) return "(not JSON)";
    hide_secrets(value);
    return value;
}

/// The merge patch that makes `to` of `from`; null members are those that `to` lacks.
Json merge_patch(const Json& from, const Json& to) {
    if (!from.is_object() || !to.is_object()) return to;
    Json patch = Json::object();
    for (const auto& [name, value] : to.items()) {
        if (!from.contains(name)) {
            patch[name] = value;
        } else if (from[name] != value) {
            patch[name] = merge_patch(from[name], value);
        }
    }
    for (const auto& [name, value] : from.items()) {
        if (!to.contains(name)) patch[name] = nullptr;
    }
    return patch;
}

struct Difference {
    Json before;
    Json after;
};

Difference difference(const std::optional<std::string>& before, const std::optional<std::string>& after) {
    const Json from = parse(before);
    const Json to = parse(after);
    if (from == to) return {};
    return {merge_patch(to, from), merge_patch(from, to)};
}

std::string line_of(const AuditEntry& entry) {
    Json line;
    line["time"] = timestamp(entry.time);
    line["caller"] = entry.caller.name;
    line["role"] = std::string(rest::to_string(entry.caller.role));
    if (!entry.caller.cluster.empty()) line["cluster"] = entry.caller.cluster;
    line["peer"] = entry.caller.peer;
    line["verb"] = entry.verb;
    line["kind"] = entry.kind;
    line["key"] = entry.key;
    if (entry.revision != 0) line["revision"] = entry.revision;
    line["result"] = entry.result;
    if (!entry.problem.empty()) {
        const Json problem = Json::parse(entry.problem, nullptr, false);
        const auto text = [&](const char* name) {
            return problem.is_object() && problem.contains(name) && problem[name].is_string() ? problem[name]
                                                                                              : Json("");
        };
        line["result"] = text("reason");
        line["detail"] = text("detail");
    }
    Difference changed = difference(entry.before, entry.after);
    if (!changed.before.is_null()) line["old"] = std::move(changed.before);
    if (!changed.after.is_null()) line["new"] = std::move(changed.after);
    return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string login_line(std::chrono::system_clock::time_point time, const std::string& peer, const std::string& reason,
                       std::uint64_t number) {
    Json line;
    line["time"] = timestamp(time);
    if (!peer.empty()) line["peer"] = peer;
    line["verb"] = "login";
    line["result"] = reason;
    if (number != 1) line["number"] = number;
    return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

AuditDifference audit_difference(const std::optional<std::string>& before, const std::optional<std::string>& after) {
    const Difference changed = difference(before, after);
    return {changed.before.dump(), changed.after.dump()};
}

class AuditLog::Writer {
  public:
    explicit Writer(AuditOptions options) : options_(std::move(options)) {}
    ~Writer() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
            work_.notify_all();
        }
        if (thread_.joinable()) thread_.join();
        if (fd_ >= 0) ::close(fd_);
    }

    std::string start() {
        if (std::string error = open_file(); !error.empty()) return error;
        thread_ = std::thread([this] { run(); });
        return {};
    }

    void record(AuditEntry entry) {
        std::unique_lock lock(mutex_);
        if (queue_.size() >= options_.max_queue) {
            done_.wait_for(lock, options_.patience, [this] { return queue_.size() < options_.max_queue; });
        }
        push(Item{std::move(entry), {}});
    }

    void login_refused(const std::string& peer, std::string_view reason) {
        const std::lock_guard lock(mutex_);
        const auto now = Clock::now();
        if (now - minute_ >= std::chrono::minutes(1)) {
            minute_ = now;
            logins_this_minute_ = 0;
            tell_unwritten_logins();
        }
        if (logins_this_minute_ < options_.login_lines_a_minute) {
            ++logins_this_minute_;
            push(Item{std::nullopt, login_line(std::chrono::system_clock::now(), peer, std::string(reason), 1)});
        } else {
            ++unwritten_logins_;
        }
    }

    std::string refusal() const {
        if (!options_.required) return {};
        const std::lock_guard lock(mutex_);
        return error_;
    }

    void reopen() {
        const std::lock_guard lock(mutex_);
        reopen_ = true;
        work_.notify_all();
    }

    void flush() {
        std::unique_lock lock(mutex_);
        const std::uint64_t all = taken_;
        done_.wait(lock, [&] { return finished_ >= all; });
    }

    std::uint64_t lost() const {
        const std::lock_guard lock(mutex_);
        return lost_;
    }
    std::uint64_t written() const {
        const std::lock_guard lock(mutex_);
        return written_;
    }

  private:
    struct Item {
        std::optional<AuditEntry> entry;
        std::string line;  ///< where there is no entry
    };

    /// The mutex is held.
    void push(Item item) {
        if (queue_.size() >= options_.max_queue) {
            lose(1, "the queue is full");
            return;
        }
        queue_.push_back(std::move(item));
        ++taken_;
        work_.notify_one();
    }

    void tell_unwritten_logins() {
        if (unwritten_logins_ == 0) return;
        push(Item{std::nullopt, login_line(std::chrono::system_clock::now(), {}, "further ones", unwritten_logins_)});
        unwritten_logins_ = 0;
    }

    /// The mutex is held.
    void lose(std::uint64_t lines, const std::string& why) {
        lost_ += lines;
        error_ = "the audit log " + options_.file + " cannot be written: " + why;
        const auto now = Clock::now();
        if (last_complaint_ && now - *last_complaint_ < std::chrono::seconds(10)) return;
        last_complaint_ = now;
        spdlog::error("audit lines lost total={} error={}", lost_, log_value(error_));
    }

    /// Empty: open. Writer's thread, or before it.
    std::string open_file() {
        const int fd =
            ::open(options_.file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
        if (fd < 0) {
            return "the audit log " + options_.file + " cannot be opened: " + std::system_category().message(errno);
        }
        struct stat status {};
        if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
            ::close(fd);
            return "the audit log " + options_.file + " is no regular file";
        }
        if ((status.st_mode & 077U) != 0) ::fchmod(fd, 0600);
        if (fd_ >= 0) ::close(fd_);
        fd_ = fd;
        size_ = static_cast<std::uint64_t>(status.st_size);
        return {};
    }

    void rotate() {
        const auto name = [&](unsigned number) { return options_.file + "." + std::to_string(number); };
        for (unsigned number = options_.keep; number > 1; --number) {
            ::rename(name(number - 1).c_str(), name(number).c_str());
        }
        const int done =
            options_.keep > 0 ? ::rename(options_.file.c_str(), name(1).c_str()) : ::unlink(options_.file.c_str());
        const std::string why = done != 0 ? std::system_category().message(errno) : std::string();
        const std::string error = done == 0 ? open_file() : why;
        if (!error.empty()) {
            // It grows on in the file it has; the next line tries again.
            spdlog::error("audit log not rotated file={} error={}", options_.file, log_value(error));
        }
    }

    /// Whole lines or, where the disk takes only a part, what makes the next line begin on its own. Empty: written.
    std::string write_text(const std::string& text) {
        std::size_t done = 0;
        while (done < text.size()) {
            const ssize_t now = ::write(fd_, text.data() + done, text.size() - done);
            if (now < 0 && errno == EINTR) continue;
            if (now <= 0) {
                const int error = errno;
                // A torn line would swallow the next one: back to where it began.
                if (done > 0 && ::ftruncate(fd_, static_cast<off_t>(size_)) != 0) torn_ = true;
                return std::system_category().message(error);
            }
            done += static_cast<std::size_t>(now);
        }
        size_ += text.size();
        if (options_.required && ::fdatasync(fd_) != 0) return std::system_category().message(errno);
        return {};
    }

    void run() {
        std::unique_lock lock(mutex_);
        while (true) {
            work_.wait_for(lock, std::chrono::seconds(1), [this] { return stopping_ || reopen_ || !queue_.empty(); });
            if (!error_.empty() && queue_.empty()) try_again(lock);
            std::deque<Item> batch;
            batch.swap(queue_);
            const bool reopen = std::exchange(reopen_, false);
            if (batch.empty() && stopping_) {
                if (unwritten_logins_ == 0) return;
                tell_unwritten_logins();
                continue;
            }
            lock.unlock();
            const auto [done, error] = write_batch(batch);
            std::string opening;
            if (reopen) opening = open_file();
            lock.lock();
            written_ += done;
            finished_ += batch.size();
            if (done < batch.size()) {
                lose(batch.size() - done, error);
            } else if (!opening.empty()) {
                lose(0, opening);
            } else if (done > 0) {
                error_.clear();
            }
            done_.notify_all();
        }
    }

    /// Whether the disk takes something again, while nobody may change anything (and so nothing is recorded).
    void try_again(std::unique_lock<std::mutex>& lock) {
        if (!options_.required) return;
        lock.unlock();
        Json line;
        line["time"] = timestamp(std::chrono::system_clock::now());
        line["verb"] = "audit";
        line["result"] = "written again";
        const std::string error = write_text((std::exchange(torn_, false) ? "\n" : "") + line.dump() + "\n");
        lock.lock();
        if (error.empty()) {
            error_.clear();
            spdlog::info("audit log is written again file={}", options_.file);
        }
    }

    std::pair<std::size_t, std::string> write_batch(const std::deque<Item>& batch) {
        constexpr std::size_t kPiece = 256 * 1024;
        std::size_t written = 0;
        std::size_t in_piece = 0;
        std::string piece = std::exchange(torn_, false) ? "\n" : "";
        for (const Item& item : batch) {
            piece += item.entry ? line_of(*item.entry) : item.line;
            ++in_piece;
            const bool last = written + in_piece == batch.size();
            if (!last && piece.size() < kPiece && size_ + piece.size() < options_.max_bytes) continue;
            if (std::string error = write_text(piece); !error.empty()) return {written, std::move(error)};
            written += in_piece;
            in_piece = 0;
            piece.clear();
            if (size_ >= options_.max_bytes) rotate();
        }
        return {written, {}};
    }

    const AuditOptions options_;
    int fd_ = -1;             ///< the writer's thread alone from here to torn_
    std::uint64_t size_ = 0;  ///< of the file
    bool torn_ = false;       ///< it ends in the middle of a line

    mutable std::mutex mutex_;  ///< of all below
    std::condition_variable work_;
    std::condition_variable done_;
    std::deque<Item> queue_;
    std::uint64_t taken_ = 0;  ///< into the queue
    std::uint64_t finished_ = 0;
    std::uint64_t written_ = 0;
    std::uint64_t lost_ = 0;
    std::string error_;  ///< why the last lines were lost; empty: they were written
    std::optional<Clock::time_point> last_complaint_;
    Clock::time_point minute_{};
    unsigned logins_this_minute_ = 0;
    std::uint64_t unwritten_logins_ = 0;
    bool reopen_ = false;
    bool stopping_ = false;
    std::thread thread_;
};

AuditLog::AuditLog(std::unique_ptr<Writer> writer) : writer_(std::move(writer)) {}
AuditLog::~AuditLog() = default;

std::variant<std::unique_ptr<AuditLog>, std::string> AuditLog::open(AuditOptions options) {
    auto writer = std::make_unique<Writer>(std::move(options));
    if (std::string error = writer->start(); !error.empty()) return error;
    return std::unique_ptr<AuditLog>(new AuditLog(std::move(writer)));
}

void AuditLog::record(AuditEntry entry) { writer_->record(std::move(entry)); }
void AuditLog::login_refused(const std::string& peer, std::string_view reason) { writer_->login_refused(peer, reason); }
std::string AuditLog::refusal() const { return writer_->refusal(); }
void AuditLog::reopen() { writer_->reopen(); }
void AuditLog::flush() { writer_->flush(); }
std::uint64_t AuditLog::lost() const { return writer_->lost(); }
std::uint64_t AuditLog::written() const { return writer_->written(); }

}  // namespace guideway::controlplane
