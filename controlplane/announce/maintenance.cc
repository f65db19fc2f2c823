#include "controlplane/announce/maintenance.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

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

}  // namespace

MaintenanceFile MaintenanceFile::beside(const std::string& store) {
    return MaintenanceFile((std::filesystem::path(store).parent_path() / "maintenance").string());
}

bool MaintenanceFile::on() const { return ::access(path_.c_str(), F_OK) == 0; }

std::string MaintenanceFile::begin() const {
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
