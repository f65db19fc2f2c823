#include "api/cli/output_file.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace guideway::cli {

OutputFile::OutputFile(std::string path, bool replace) : path_(std::move(path)), replace_(replace) {
    std::error_code ignored;
    if (!replace_ && std::filesystem::exists(path_, ignored)) {
        error_ = path_ + " is there already; give another file, or --force to replace it";
        return;
    }
    temporary_ = path_ + ".XXXXXX";
    fd_ = ::mkostemp(temporary_.data(), O_CLOEXEC);  // 0600
    if (fd_ < 0) {
        temporary_.clear();
        fail("make a file beside");
    }
}

OutputFile::~OutputFile() {
    if (fd_ >= 0) ::close(fd_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void OutputFile::fail(const std::string& what) {
    error_ = "cannot " + what + " " + path_ + ": " + std::system_category().message(errno);
}

bool OutputFile::write(std::string_view bytes) {
    while (error_.empty() && !bytes.empty()) {
        const ssize_t sent = ::write(fd_, bytes.data(), bytes.size());
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) {
            fail("write");
        } else {
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
    }
    return error_.empty();
}

std::string OutputFile::finish() {
    if (!error_.empty()) return error_;
    if (::fsync(fd_) != 0) {
        fail("write");
        return error_;
    }
    // link() refuses what came into being meanwhile, which rename() would replace.
    const int put = replace_ ? ::rename(temporary_.c_str(), path_.c_str()) : ::link(temporary_.c_str(), path_.c_str());
    if (put != 0) {
        fail("put in place");
        return error_;
    }
    if (replace_) temporary_.clear();
    const std::filesystem::path folder = std::filesystem::path(path_).parent_path();
    const int directory = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
        ::fsync(directory);
        ::close(directory);
    }
    return {};
}

}  // namespace guideway::cli
