#include "controlplane/announce/maintenance.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/timestamps.h"

namespace guideway::announce {
namespace {

/// So that what was made or removed in the folder outlives a power cut.
std::string sync_folder(const std::string& path) {
    std::string folder = std::filesystem::path(path).parent_path().string();
    if (folder.empty()) folder = ".";
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = fd >= 0 && ::fsync(fd) == 0;
    const int error = errno;
    if (fd >= 0) ::close(fd);
    return synced ? std::string() : folder + " cannot be synced: " + std::strerror(error);
}

constexpr std::string_view kSince = "since=";
constexpr std::string_view kReason = "reason=";
/// More is not read: what stands in the file is two lines.
constexpr std::size_t kLongestNote = 8192;

/// Whole or not at all, under the name of the file. False: the file is as it was.
bool write_note(const std::string& path, const MaintenanceNote& note) {
    const std::string text =
        std::string(kSince) + controlplane::timestamp_of(note.since) + '\n' + std::string(kReason) + note.reason + '\n';
    const std::string next = path + ".new";
    const int fd = ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return false;
    bool done = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
    done = ::close(fd) == 0 && done && ::rename(next.c_str(), path.c_str()) == 0;
    if (!done) ::unlink(next.c_str());
    return done;
}

}  // namespace

std::uint64_t open_connections(const contract::Counters& counters) {
    std::uint64_t open = 0;
    for (const contract::WorkerCounters& worker : counters.workers) {
        const std::uint64_t all = worker.flows_ipv4 + worker.flows_ipv6;
        open += all - std::min(all, worker.flows_closed);
    }
    return open;
}

MaintenanceFile MaintenanceFile::beside(const std::string& store) {
    return MaintenanceFile((std::filesystem::path(store).parent_path() / "maintenance").string());
}

bool MaintenanceFile::on() const { return ::access(path_.c_str(), F_OK) == 0; }

std::optional<MaintenanceNote> MaintenanceFile::note() const {
    const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    // One that is made this very moment has a note, which the next look finds.
    if (fd < 0 && errno == ENOENT) return std::nullopt;
    // One that may not be read is there all the same.
    if (fd < 0) return on() ? std::optional(MaintenanceNote{}) : std::nullopt;
    std::string text(kLongestNote, '\0');
    const ssize_t got = ::read(fd, text.data(), text.size());
    struct stat about {};
    MaintenanceNote note;
    if (::fstat(fd, &about) == 0) note.since = std::chrono::system_clock::from_time_t(about.st_mtime);
    ::close(fd);
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    std::string_view left = text;
    while (!left.empty()) {
        const std::size_t end = std::min(left.find('\n'), left.size());
        const std::string_view line = left.substr(0, end);
        left.remove_prefix(std::min(end + 1, left.size()));
        if (line.starts_with(kReason)) note.reason = line.substr(kReason.size());
        if (!line.starts_with(kSince)) continue;
        if (const auto since = controlplane::time_of(std::string(line.substr(kSince.size())))) note.since = *since;
    }
    return note;
}

std::string MaintenanceFile::begin(const std::optional<std::string>& reason) const {
    const std::optional<MaintenanceNote> before = note();
    MaintenanceNote now = before.value_or(MaintenanceNote{{}, std::chrono::system_clock::now()});
    if (reason) now.reason = *reason;
    if (before && now.reason == before->reason) return sync_folder(path_);
    if (write_note(path_, now)) return sync_folder(path_);
    const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return path_ + " cannot be made: " + std::strerror(errno);
    ::close(fd);
    return sync_folder(path_);
}

std::string MaintenanceFile::end() const {
    if (::unlink(path_.c_str()) != 0 && errno != ENOENT) return path_ + " cannot be removed: " + std::strerror(errno);
    return sync_folder(path_);
}

}  // namespace guideway::announce
