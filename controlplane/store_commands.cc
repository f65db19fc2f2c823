#include "controlplane/store_commands.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <variant>

#include "controlplane/store/backup.h"
#include "controlplane/store/sqlite_restore.h"
#include "controlplane/store/sqlite_store.h"

namespace guideway::controlplane {
namespace {

int fail(const std::string& why) {
    std::cerr << "guideway-controlplane: " << why << '\n';
    return 1;
}

std::string explained(const store::Error& error, const char* online) {
    if (error.kind != store::ErrorKind::in_use) return error.message;
    return error.message + "\nWhile it runs, use: " + online;
}

/// A file that appears under its name only when it is whole and on disk.
class NewFile {
  public:
    explicit NewFile(std::string name) : name_(std::move(name)), temporary_(name_ + ".incomplete") {
        file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (file_ < 0) error_ = errno;
    }
    ~NewFile() {
        if (file_ < 0) return;
        ::close(file_);
        ::unlink(temporary_.c_str());
    }
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;

    bool write(std::string_view bytes) {
        while (error_ == 0 && !bytes.empty()) {
            const ssize_t done = ::write(file_, bytes.data(), bytes.size());
            if (done < 0 && errno != EINTR) error_ = errno;
            if (done > 0) bytes.remove_prefix(static_cast<std::size_t>(done));
        }
        return error_ == 0;
    }
    bool finish() {
        if (error_ == 0 && ::fchmod(file_, 0600) != 0) error_ = errno;
        if (error_ == 0 && ::fsync(file_) != 0) error_ = errno;
        if (error_ == 0 && ::rename(temporary_.c_str(), name_.c_str()) != 0) error_ = errno;
        if (error_ != 0) return false;
        ::close(std::exchange(file_, -1));
        // The name too shall survive a power cut.
        std::error_code ignored;
        const auto folder = std::filesystem::absolute(name_, ignored).parent_path();
        const int opened = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (opened < 0 || ::fsync(opened) != 0) error_ = errno;
        if (opened >= 0) ::close(opened);
        return error_ == 0;
    }
    std::string error() const { return "cannot write " + name_ + ": " + std::strerror(error_); }
    bool ok() const { return error_ == 0; }

  private:
    std::string name_;
    std::string temporary_;
    int file_ = -1;
    int error_ = 0;
};

}  // namespace

int back_up(const std::string& store, const std::string& file) {
    // Opening would make an empty one, and its backup would pass for good.
    if (::access(store.c_str(), F_OK) != 0)
        return fail("cannot back up the store " + store + ": " + std::strerror(errno));
    store::Contents contents;
    {
        auto opened = store::SqliteStore::open(store);
        if (const auto* error = std::get_if<store::Error>(&opened)) {
            return fail(explained(*error, "guideway backup FILE"));
        }
        if (const auto error = std::get<0>(opened)->load(contents)) return fail(error->message);
    }
    const store::backup::About about = store::backup::about_now();
    if (file == "-") {
        const auto error = store::backup::encode(contents, about, [](std::string_view bytes) {
            return std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size();
        });
        if (error) return fail(*error);
        if (std::fflush(stdout) != 0) return fail(std::string("cannot write the backup: ") + std::strerror(errno));
        return 0;
    }
    NewFile target(file);
    if (!target.ok()) return fail(target.error());
    if (const auto error =
            store::backup::encode(contents, about, [&](std::string_view bytes) { return target.write(bytes); })) {
        return fail(target.ok() ? *error : target.error());
    }
    if (!target.finish()) return fail(target.error());
    std::cerr << "backed up " << contents.records.size() << " records of revision " << contents.revision << " of "
              << store << " to " << file << '\n';
    return 0;
}

int restore(const std::string& store, const std::string& file) {
    std::ifstream from_file;
    if (file != "-") {
        from_file.open(file, std::ios::binary);
        if (!from_file) return fail("cannot read " + file + ": " + std::strerror(errno));
    }
    auto decoded = store::backup::decode(file == "-" ? std::cin : from_file);
    if (const auto* why = std::get_if<std::string>(&decoded)) {
        return fail((file == "-" ? std::string("the backup on standard input") : file) + ", " + *why +
                    "\nThe store was not touched.");
    }
    auto& [contents, about] = std::get<store::backup::Decoded>(decoded);
    const std::size_t records = contents.records.size();
    const std::uint64_t revision = contents.revision;
    struct stat status {};
    const bool had_one = ::stat(store.c_str(), &status) == 0;
    if (const auto error = store::restore_sqlite(store, std::move(contents))) {
        return fail(explained(*error, "guideway restore FILE"));
    }
    std::cerr << "restored " << records << " records of revision " << revision << ", backed up " << about.created
              << " by version " << about.program << ", into " << store
              << (had_one ? "; the store before is kept as " + store + ".before-restore" : std::string()) << '\n';
    return 0;
}

}  // namespace guideway::controlplane
