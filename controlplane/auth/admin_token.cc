#include "controlplane/auth/admin_token.h"

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace guideway::controlplane::auth {
namespace {

std::string timestamp(Time time) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

bool write_all(int fd, const std::string& text) {
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t now = ::write(fd, text.data() + done, text.size() - done);
        if (now < 0 && errno == EINTR) continue;
        if (now < 0) return false;
        done += static_cast<std::size_t>(now);
    }
    return true;
}

AdminToken handed_out(Issued issued, const std::string& path, Time now) {
    if (issued.record.metadata.creation_timestamp.empty()) issued.record.metadata.creation_timestamp = timestamp(now);
    if (auto error = write_token_file(path, issued.text)) return {std::nullopt, *std::move(error)};
    return {std::move(issued.record), ""};
}

}  // namespace

std::optional<std::string> write_token_file(const std::string& path, const std::string& text) {
    const std::string fresh = path + ".new";
    const auto failed = [&](const char* what, const std::string& which) {
        const int error = errno;
        ::unlink(fresh.c_str());
        return std::string(what) + " the token file " + which + ": " + std::system_category().message(error);
    };
    // Whatever an earlier attempt left; O_EXCL then makes sure that nobody put a link in its place.
    ::unlink(fresh.c_str());
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return failed("cannot create", fresh);
    if (::fchmod(fd, 0600) != 0 || !write_all(fd, text + "\n") || ::fsync(fd) != 0) {
        const int error = errno;
        ::close(fd);
        errno = error;
        return failed("cannot write", fresh);
    }
    ::close(fd);
    if (::rename(fresh.c_str(), path.c_str()) != 0) return failed("cannot put in place", path);
    const std::string folder = std::filesystem::path(path).parent_path().string();
    const int directory = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
        ::fsync(directory);
        ::close(directory);
    }
    return std::nullopt;
}

AdminToken ensure_admin_token(const TokenBook& book, const std::string& path, Time now) {
    if (!book.empty()) return {};
    return handed_out(book.create(kAdminTokenName, {rest::Role::admin, "", {}}, now), path, now);
}

AdminToken renew_admin_token(const TokenBook& book, const std::string& path, Time now) {
    std::optional<TokenRecord> record = book.find(kAdminTokenName);
    if (!record) return handed_out(book.create(kAdminTokenName, {rest::Role::admin, "", {}}, now), path, now);
    record->secrets.clear();
    record->spec = {rest::Role::admin, "", {}};
    return handed_out(book.rotate(*std::move(record), now), path, now);
}

}  // namespace guideway::controlplane::auth
