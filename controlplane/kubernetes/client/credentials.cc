#include "controlplane/kubernetes/client/credentials.h"

#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace guideway::kubernetes {

namespace {

std::string stamp_of(const struct stat& status) {
    return std::to_string(status.st_dev) + "/" + std::to_string(status.st_ino) + "/" + std::to_string(status.st_size) +
           "/" + std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec) + "/" +
           std::to_string(status.st_ctim.tv_sec) + "." + std::to_string(status.st_ctim.tv_nsec);
}

struct FileText {
    std::string text, stamp, error;
};

FileText read_file(const std::string& path) {
    FileText out;
    // Non-blocking: a FIFO in its place must not hold the caller up.
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    const auto failed = [&](const std::string& why) {
        out.error = why;
        if (fd >= 0) ::close(fd);
        return out;
    };
    if (fd < 0) return failed(std::system_category().message(errno));
    struct stat status {};
    if (::fstat(fd, &status) != 0) return failed(std::system_category().message(errno));
    if (!S_ISREG(status.st_mode)) return failed("found no regular file");
    std::string text(Credentials::kMaxFileBytes + 1, '\0');
    std::size_t size = 0;
    while (size < text.size()) {
        const ssize_t got = ::read(fd, text.data() + size, text.size() - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failed(std::system_category().message(errno));
        if (got == 0) break;
        size += static_cast<std::size_t>(got);
    }
    if (size > Credentials::kMaxFileBytes) return failed("found more than 1 MiB");
    ::close(fd);
    text.resize(size);
    out.text = std::move(text);
    out.stamp = stamp_of(status);
    return out;
}

std::string trimmed(std::string text) {
    const auto end = text.find_last_not_of(" \t\r\n");
    text.erase(end == std::string::npos ? 0 : end + 1);
    const auto begin = text.find_first_not_of(" \t\r\n");
    return begin == std::string::npos ? std::string() : text.substr(begin);
}

/// What can follow "Bearer " in a header: no control characters, no spaces.
bool is_token(const std::string& text) {
    for (const char c : text) {
        if (c <= ' ' || c == '\x7f') return false;
    }
    return !text.empty();
}

}  // namespace

Credentials::Credentials(Access access, std::function<TimePoint()> now)
    : access_(std::move(access)), now_(std::move(now)) {
    if (!now_) now_ = [] { return std::chrono::steady_clock::now(); };
    const auto source = [](const Pem& pem) {
        return Source{pem.file, pem.file.empty() ? pem.data : "", {}, {}, false};
    };
    token_source_ = Source{access_.token_file, access_.token_file.empty() ? access_.token : "", {}, {}, false};
    authority_ = source(access_.authority);
    certificate_ = source(access_.client_certificate);
    key_ = source(access_.client_key);
}

bool Credentials::look(Source& source, bool force, const char* what) {
    if (source.file.empty()) {
        source.known = true;
        return false;
    }
    const TimePoint now = now_();
    struct stat status {};
    const bool old = source.known && now - source.read_at >= kOldest;
    if (source.known && !force && !old && ::stat(source.file.c_str(), &status) == 0 &&
        stamp_of(status) == source.seen) {
        return false;
    }
    FileText file = read_file(source.file);
    if (file.error.empty() && trimmed(file.text).empty()) file.error = "found nothing in it";
    if (file.error.empty() && &source == &token_source_ && !is_token(trimmed(file.text))) {
        file.error = "found spaces or control characters, allowed one token";
    }
    if (!file.error.empty()) {
        error_ = std::string("the ") + what + " file " + source.file + ": " + file.error +
                 (source.known ? "; what was read before is used on" : "");
        return false;
    }
    source.read_at = now;
    source.seen = std::move(file.stamp);
    source.known = true;
    if (source.text == file.text) return false;
    source.text = std::move(file.text);
    return true;
}

bool Credentials::update() {
    error_.clear();
    look(token_source_, false, "token");
    bool tls = look(authority_, false, "certificate authority");
    // A pair is renewed together or not at all: both are read where one changed.
    const bool certificate = look(certificate_, false, "client certificate");
    const bool key = look(key_, certificate, "client key");
    if (key && !certificate) look(certificate_, true, "client certificate");
    tls = tls || certificate || key;
    if (tls) ++tls_generation_;
    token_ = trimmed(token_source_.text);
    if (error_.empty() && token_source_.file.empty() && !token_.empty() && !is_token(token_)) {
        error_ = "the token of " + (access_.origin.empty() ? "the options" : access_.origin) +
                 ": found spaces or control characters, allowed one token";
        return false;
    }
    return token_source_.known && authority_.known && certificate_.known && key_.known;
}

bool Credentials::refresh() {
    const std::string token = token_;
    const std::uint64_t generation = tls_generation_;
    for (Source* source : {&token_source_, &authority_, &certificate_, &key_}) source->seen.clear();
    update();
    return token_ != token || tls_generation_ != generation;
}

std::string Credentials::who() const {
    const std::string origin = access_.origin.empty() ? "the options" : access_.origin;
    if (!access_.token_file.empty()) return "the token in " + access_.token_file;
    if (!access_.token.empty()) return "the token of " + origin;
    if (!access_.client_certificate.file.empty()) return "the client certificate in " + access_.client_certificate.file;
    if (!access_.client_certificate.empty()) return "the client certificate of " + origin;
    return "nobody (no token and no client certificate)";
}

}  // namespace guideway::kubernetes
