#include "dataplane/control/state_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace guideway::control {
namespace {

/// Closes on every way out.
struct File {
    int fd;
    ~File() {
        if (fd >= 0) close(fd);
    }
};

std::string failed(const std::string& what, const std::string& path) {
    return "state file '" + path + "': " + what + ": " + std::strerror(errno);
}

bool write_all(int fd, const std::string& text) {
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t written = write(fd, text.data() + done, text.size() - done);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        done += static_cast<std::size_t>(written);
    }
    return true;
}

}  // namespace

StateFile::StateFile(std::string path) : path_(std::move(path)) {}

StateFile::Loaded StateFile::load() const {
    const File file{open(path_.c_str(), O_RDONLY | O_CLOEXEC)};
    if (file.fd < 0) {
        if (errno == ENOENT) return {};
        return {std::nullopt, failed("cannot be opened", path_)};
    }
    struct stat status {};
    if (fstat(file.fd, &status) != 0) return {std::nullopt, failed("cannot be read", path_)};
    if (!S_ISREG(status.st_mode)) return {std::nullopt, "state file '" + path_ + "': is not a regular file"};
    if (static_cast<std::size_t>(status.st_size) > kLargest) {
        return {std::nullopt, "state file '" + path_ + "': " + std::to_string(status.st_size) + " bytes, at most " +
                                  std::to_string(kLargest) + " are allowed"};
    }
    std::string text(static_cast<std::size_t>(status.st_size), '\0');
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t got = read(file.fd, text.data() + done, text.size() - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return {std::nullopt, failed("cannot be read", path_)};
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
    }
    text.resize(done);
    return {std::move(text), std::nullopt};
}

std::optional<std::string> StateFile::store(const std::string& text) const {
    const std::filesystem::path target(path_);
    const std::filesystem::path folder = target.has_parent_path() ? target.parent_path() : ".";
    std::error_code ignored;  // what matters shows when the file is opened
    std::filesystem::create_directories(folder, ignored);
    const std::string temporary = path_ + ".new";
    {
        const File file{open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640)};
        if (file.fd < 0) return failed("cannot be written", temporary);
        if (!write_all(file.fd, text) || fsync(file.fd) != 0) {
            auto error = failed("cannot be written", temporary);
            unlink(temporary.c_str());
            return error;
        }
    }
    if (rename(temporary.c_str(), path_.c_str()) != 0) {
        auto error = failed("cannot be renamed into place", path_);
        unlink(temporary.c_str());
        return error;
    }
    const File directory{open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (directory.fd < 0 || fsync(directory.fd) != 0) return failed("folder cannot be synced", path_);
    return std::nullopt;
}

std::optional<std::string> StateFile::set_aside() const {
    const std::string aside = path_ + ".damaged";
    if (rename(path_.c_str(), aside.c_str()) != 0) return std::nullopt;
    return aside;
}

}  // namespace guideway::control
