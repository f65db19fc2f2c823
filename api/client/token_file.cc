#include "api/client/token_file.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace guideway::client {
namespace {

constexpr std::size_t kMaxTokenBytes = 1024;

class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const { return fd_; }

  private:
    int fd_;
};

}  // namespace

bool is_bearer_token(std::string_view text) {
    const std::size_t end = text.find_last_not_of('=');
    if (end == std::string_view::npos || text.size() > kMaxTokenBytes) return false;
    for (const char c : text.substr(0, end + 1)) {
        const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                          c == '.' || c == '_' || c == '~' || c == '+' || c == '/';
        if (!good) return false;
    }
    return true;
}

TokenFile read_token_file(const std::string& path) {
    const auto refused = [&](const std::string& why) {
        return TokenFile{"", "the token file " + path + ": " + why, false};
    };
    // Non-blocking: a FIFO in its place must not hold the caller up.
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (file.get() < 0) {
        const int error = errno;
        TokenFile answer = refused(std::system_category().message(error));
        answer.missing = error == ENOENT;
        return answer;
    }
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return refused(std::system_category().message(errno));
    if (!S_ISREG(status.st_mode)) return refused("it is no regular file");
    if ((status.st_mode & 077U) != 0) {
        std::array<char, 16> mode{};
        std::snprintf(mode.data(), mode.size(), "%04o", static_cast<unsigned>(status.st_mode & 07777U));
        return refused("found mode " + std::string(mode.data()) +
                       ", allowed 0600: others can read or change it; rotate the token, then chmod 600 the file");
    }
    if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
        return refused("found owner " + std::to_string(status.st_uid) + ", allowed root or yourself");
    }
    std::string text(kMaxTokenBytes + 2, '\0');
    std::size_t size = 0;
    while (size < text.size()) {
        const ssize_t got = ::read(file.get(), text.data() + size, text.size() - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return refused(std::system_category().message(errno));
        if (got == 0) break;
        size += static_cast<std::size_t>(got);
    }
    text.resize(size);
    if (text.ends_with('\n')) text.pop_back();
    if (!is_bearer_token(text)) {
        return refused("it must hold one token of up to 1024 letters, digits and -._~+/ and nothing else");
    }
    return {std::move(text), "", false};
}

}  // namespace guideway::client
