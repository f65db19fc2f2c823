#include "api/cli/child_process.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace guideway::cli {

namespace {

/// Both ends, closed with it.
class Pipe {
  public:
    Pipe() {
        if (::pipe2(ends_.data(), O_CLOEXEC) != 0) ends_ = {-1, -1};
    }
    ~Pipe() {
        close_reader();
        close_writer();
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    bool ok() const { return ends_[0] >= 0; }
    int reader() const { return ends_[0]; }
    int writer() const { return ends_[1]; }
    void close_reader() { close_end(0); }
    void close_writer() { close_end(1); }

  private:
    void close_end(std::size_t end) {
        if (ends_[end] >= 0) ::close(ends_[end]);
        ends_[end] = -1;
    }
    std::array<int, 2> ends_{-1, -1};
};

/// Starts it; errno's number, or 0.
int spawn(const std::vector<std::string>& argv, const Pipe& out, const Pipe& err, pid_t& child) {
    std::vector<char*> arguments;
    for (const std::string& one : argv) arguments.push_back(const_cast<char*>(one.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_adddup2(&actions, out.writer(), STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, err.writer(), STDERR_FILENO);
    // We ignore it; the child is to have it as every program has.
    sigset_t defaults;
    ::sigemptyset(&defaults);
    ::sigaddset(&defaults, SIGPIPE);
    ::posix_spawnattr_setsigdefault(&attributes, &defaults);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    const int error = ::posix_spawnp(&child, arguments[0], &actions, &attributes, arguments.data(), environ);
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    return error;
}

/// False: there is no more.
bool read_some(int fd, std::string& into) {
    std::array<char, 65536> buffer;
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0) return errno == EINTR || errno == EAGAIN;
    into.append(buffer.data(), static_cast<std::size_t>(got));
    return got > 0;
}

}  // namespace

ChildResult run_child(const std::vector<std::string>& argv, std::size_t most) {
    ChildResult result;
    Pipe out, err;
    pid_t child = -1;
    const int error = out.ok() && err.ok() ? spawn(argv, out, err, child) : errno;
    if (error != 0) {
        result.failure = argv[0] + ": " + std::system_category().message(error);
        return result;
    }
    out.close_writer();
    err.close_writer();
    std::array<pollfd, 2> both{{{out.reader(), POLLIN, 0}, {err.reader(), POLLIN, 0}}};
    while (both[0].fd >= 0 || both[1].fd >= 0) {
        if (::poll(both.data(), both.size(), -1) < 0 && errno != EINTR) break;
        if (both[0].revents != 0 && !read_some(out.reader(), result.out)) both[0].fd = -1;
        if (both[1].revents != 0 && !read_some(err.reader(), result.err)) both[1].fd = -1;
        if (result.out.size() + result.err.size() > most) {
            result.failure = argv[0] + " wrote more than " + std::to_string(most) + " bytes";
            ::kill(child, SIGKILL);
            break;
        }
        for (pollfd& one : both) one.revents = 0;
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status)) {
        result.code = WEXITSTATUS(status);
    } else if (result.failure.empty()) {
        result.failure = argv[0] + " was ended by signal " + std::to_string(WTERMSIG(status));
    }
    return result;
}

}  // namespace guideway::cli
