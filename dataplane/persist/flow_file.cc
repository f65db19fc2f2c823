#include "dataplane/persist/flow_file.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "dataplane/persist/mapping.h"

namespace guideway::persist {
namespace {

std::string because() { return std::strerror(errno); }

class Fd {
  public:
    explicit Fd(int fd = -1) : fd_(fd) {}
    ~Fd() {
        if (fd_ >= 0) close(fd_);
    }
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    int get() const { return fd_; }
    bool ok() const { return fd_ >= 0; }

  private:
    int fd_;
};

std::uint64_t boot_time_ns() {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

std::string in_use(const std::string& path, int fd) {
    const auto pid = lock_holder(fd);
    return "flow file '" + path + "' is in use by " + (pid ? "process " + std::to_string(*pid) : "another process") +
           ": another dataplane with this control_socket runs";
}

/// The same file still has this name.
bool is_named(const std::string& path, int fd) {
    struct stat named {};
    struct stat held {};
    return lstat(path.c_str(), &named) == 0 && fstat(fd, &held) == 0 && named.st_dev == held.st_dev &&
           named.st_ino == held.st_ino;
}

/// A file of an earlier run, locked.
struct Found {
    std::size_t place = 0;
    std::string path;
    Fd fd;
    std::uint64_t file_bytes = 0;
    FileHeader header{};
    std::optional<Refusal> refusal;
};

/// Opens and locks what has the name. None: nothing has. `error`: it is another dataplane's.
std::optional<Found> take_found(const std::string& path, std::uint32_t patience_ms, std::string& error) {
    const std::uint64_t until_ns = boot_time_ns() + std::uint64_t{patience_ms} * 1'000'000;
    for (;;) {
        Found found;
        found.path = path;
        // O_NONBLOCK: whatever a pipe of that name would wait for, it does not wait
        found.fd = Fd(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
        if (!found.fd.ok()) {
            if (errno == ENOENT) return std::nullopt;
            found.refusal = Refusal{RefusalKind::unreadable, because()};
            return found;
        }
        struct stat status {};
        if (fstat(found.fd.get(), &status) != 0 || status.st_uid != geteuid() || (status.st_mode & 0077) != 0) {
            // Before the lock: who may write here could hold that too, for ever.
            found.refusal =
                Refusal{RefusalKind::damaged, "others than user " + std::to_string(geteuid()) + " may have written it"};
            return found;
        }
        if (flock(found.fd.get(), LOCK_EX | LOCK_NB) != 0) {
            if (errno == EINTR) continue;
            if (errno == EWOULDBLOCK) {
                if (boot_time_ns() < until_ns) {
                    usleep(10'000);
                    continue;
                }
                error = in_use(path, found.fd.get());
                return std::nullopt;
            }
            found.refusal = Refusal{RefusalKind::unreadable, "cannot be locked: " + because()};
            return found;
        }
        if (is_named(path, found.fd.get())) return found;  // else its owner put another there meanwhile
    }
}

/// A short read is a short file: what else is wrong with it shows when it is judged.
std::vector<std::byte> read_front(int fd) {
    std::vector<std::byte> bytes(kHeaderBytes);
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t got = pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        done += static_cast<std::size_t>(got);
    }
    bytes.resize(done);
    return bytes;
}

void judge(Found& found, const OpenRequest& request) {
    if (found.refusal) return;
    struct stat status {};
    if (fstat(found.fd.get(), &status) != 0) {
        found.refusal = Refusal{RefusalKind::unreadable, because()};
    } else if (!S_ISREG(status.st_mode)) {
        found.refusal = Refusal{RefusalKind::damaged, "is not a regular file"};
    } else {
        found.file_bytes = static_cast<std::uint64_t>(status.st_size);
        const auto front = read_front(found.fd.get());
        found.refusal = judge_header(front, found.file_bytes, request.need.layout, request.boot_id);
        if (!found.refusal) std::memcpy(&found.header, front.data(), kHeaderBytes);
    }
}

}  // namespace

struct FlowFile::Parts {
    std::string path;  ///< where it belongs
    std::string path_while_made;
    Fd fd;
    Mapping mapping;
    FileHeader header{};  ///< a copy: the file's own is not looked at again
    bool is_ready = false;

    std::optional<Shape> old_shape;
    Found old;
    Mapping old_mapping;
};

/// Puts files together; the one that may.
struct FlowFileMaker {
    static std::unique_ptr<FlowFile> wrap(std::unique_ptr<FlowFile::Parts> parts) {
        return std::unique_ptr<FlowFile>(new FlowFile(std::move(parts)));
    }

    /// Null and `refusal` where the kernel does not map it.
    static std::unique_ptr<FlowFile> adopt(Found& found, bool huge, std::optional<Refusal>& refusal) {
        auto parts = std::make_unique<FlowFile::Parts>();
        parts->mapping = Mapping::of_file(found.fd.get(), found.header.file_bytes, Mapping::Access::write, !huge);
        if (!parts->mapping.ok()) {
            refusal = Refusal{RefusalKind::unreadable, "cannot be mapped: " + because()};
            return nullptr;
        }
        parts->path = found.path;
        parts->fd = std::move(found.fd);
        parts->header = found.header;
        parts->is_ready = true;
        return wrap(std::move(parts));
    }

    /// Null and `error`.
    static std::unique_ptr<FlowFile> make(const std::string& path, const OpenRequest& request, const Place& place,
                                          std::string& error) {
        auto parts = std::make_unique<FlowFile::Parts>();
        parts->path = path;
        parts->header =
            make_header(request.need.layout, request.need.shape, request.boot_id, place.page_bytes, boot_time_ns());
        const std::string while_made = path + ".new";
        const auto failed = [&](const char* what) {
            error = "flow file '" + while_made + "': " + what + ": " + because();
            return nullptr;
        };
        parts->fd = Fd(open(while_made.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!parts->fd.ok()) return failed("cannot be made");
        parts->path_while_made = while_made;  // from here on it is removed with `parts`' file
        auto file = wrap(std::move(parts));
        FlowFile::Parts& own = *file->parts_;
        if (flock(own.fd.get(), LOCK_EX | LOCK_NB) != 0) return failed("cannot be locked");
        if (fchmod(own.fd.get(), 0600) != 0) return failed("cannot be kept from others");
        if (ftruncate(own.fd.get(), static_cast<off_t>(own.header.file_bytes)) != 0)
            return failed("cannot be made long enough");
        own.mapping = Mapping::of_file(own.fd.get(), own.header.file_bytes, Mapping::Access::write, !place.huge);
        if (!own.mapping.ok()) return failed("cannot be mapped");
        // Not by a plain store: where no page is to be had that would be a SIGBUS.
        const std::uint64_t first_page = std::max<std::uint64_t>(place.page_bytes, kHeaderBytes);
        if (!own.mapping.populate(0, first_page)) return failed("no memory for its first page");
        std::memcpy(own.mapping.bytes().data(), &own.header, kHeaderBytes);
        return file;
    }

    /// Null where the kernel has no address space; pages come with populate().
    static std::unique_ptr<FlowFile> without_file(const OpenRequest& request) {
        auto parts = std::make_unique<FlowFile::Parts>();
        parts->header = make_header(request.need.layout, request.need.shape, "", 4096, 0);
        parts->mapping = Mapping::anonymous(parts->header.file_bytes);
        if (!parts->mapping.ok()) return nullptr;
        return wrap(std::move(parts));
    }

    /// False and `refusal` where the kernel does not map the old one.
    static bool attach_old(FlowFile& file, Found& old, bool huge, std::optional<Refusal>& refusal) {
        FlowFile::Parts& parts = *file.parts_;
        parts.old_mapping = Mapping::of_file(old.fd.get(), old.header.file_bytes, Mapping::Access::read, !huge);
        if (!parts.old_mapping.ok()) {
            refusal = Refusal{RefusalKind::unreadable, "cannot be mapped: " + because()};
            return false;
        }
        parts.old_shape = shape_of(old.header);
        parts.old = std::move(old);
        return true;
    }
};

FlowFile::FlowFile(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

FlowFile::~FlowFile() {
    if (!parts_->is_ready && !parts_->path_while_made.empty()) unlink(parts_->path_while_made.c_str());
}

std::span<std::byte> FlowFile::entries(std::uint32_t worker, Family family) const {
    const Region& region = parts_->header.regions[worker][family];
    return parts_->mapping.bytes().subspan(region.offset, region.bytes);
}

std::optional<std::string> FlowFile::populate(std::uint32_t worker) const {
    for (unsigned family = 0; family < kFamilies; ++family) {
        const Region& region = parts_->header.regions[worker][family];
        if (region.bytes == 0 || parts_->mapping.populate(region.offset, region.bytes)) continue;
        return "no memory for the " +
               std::string(family == kV4   ? "IPv4 connections"
                           : family == kV6 ? "IPv6 connections"
                                           : "clients (flows.affinity_clients)") +
               " of worker " + std::to_string(worker) + ": " + mebibytes(region.bytes) + " of " +
               (path().empty() ? "memory" : "'" + path() + "'") + ": " + because();
    }
    return std::nullopt;
}

const std::optional<Shape>& FlowFile::old_shape() const { return parts_->old_shape; }

std::span<const std::byte> FlowFile::old_entries(std::uint32_t worker, Family family) const {
    const Region& region = parts_->old.header.regions[worker][family];
    return std::span<const std::byte>(parts_->old_mapping.bytes()).subspan(region.offset, region.bytes);
}

std::optional<std::string> FlowFile::ready() {
    if (parts_->is_ready) return std::nullopt;
    if (!parts_->path_while_made.empty()) {
        // After everything else that was written; the file outlives the process, not the kernel: no need to sync.
        auto& state = reinterpret_cast<FileHeader*>(parts_->mapping.bytes().data())->state;
        std::atomic_ref(state).store(kReady, std::memory_order_release);
        if (rename(parts_->path_while_made.c_str(), parts_->path.c_str()) != 0) {
            return "flow file '" + parts_->path_while_made + "': cannot be renamed into place: " + because();
        }
    }
    parts_->is_ready = true;
    if (parts_->old_shape) {
        if (parts_->old.path != parts_->path) unlink(parts_->old.path.c_str());
        parts_->old_mapping = Mapping();
        parts_->old = Found();
        parts_->old_shape.reset();
    }
    return std::nullopt;
}

const std::string& FlowFile::path() const { return parts_->path; }
std::uint64_t FlowFile::bytes() const { return parts_->header.file_bytes; }

namespace {

constexpr std::uint64_t kWorthLargePages = std::uint64_t{64} << 20;

/// One opening, step by step.
class Opening {
  public:
    explicit Opening(const OpenRequest& request) : request_(request) {}

    OpenedFile run() {
        if (!collect()) return std::move(result_);
        choose_among_found();
        if (chosen_ != nullptr && changes().empty() && (adopt() || !result_.error.empty())) return std::move(result_);
        if (request_.wish == Wish::none || (!make_in_a_place() && result_.error.empty())) make_without_file();
        return std::move(result_);
    }

  private:
    void say(std::string text) { result_.lines.push_back({false, std::move(text)}); }
    void shout(std::string text) { result_.lines.push_back({true, std::move(text)}); }

    /// How to get large pages; for small files it is not worth a word.
    void advise_large_pages(const Place& place) {
        const std::uint64_t bytes = result_.file->bytes();
        if (place.huge || place.large_pages || bytes < kWorthLargePages) return;
        say("large pages would make packets and restarts faster: " +
            std::to_string((bytes + request_.need.other_huge_bytes) / kRegionAlignment) +
            " more huge pages (sysctl vm.nr_hugepages), or the tmpfs of " + place.folder +
            " remounted with huge=advise");
    }

    std::string path_in(const Place& place) const { return place.folder + "/" + request_.name; }

    /// What earlier runs left, each locked. False: one is in use.
    bool collect() {
        for (std::size_t i = 0; i < request_.places.size(); ++i) {
            const std::string path = path_in(request_.places[i]);
            auto cut_short = take_found(path + ".new", request_.patience_ms, result_.error);
            if (!result_.error.empty()) return false;
            if (cut_short) {
                if (unlink(cut_short->path.c_str()) != 0) {
                    shout("flow file '" + cut_short->path +
                          "' of a start that was cut short cannot be removed: " + because());
                } else {
                    say("flow file '" + cut_short->path + "' of a start that was cut short: removed");
                }
            }
            auto found = take_found(path, request_.patience_ms, result_.error);
            if (!result_.error.empty()) return false;
            if (!found) continue;
            found->place = i;
            judge(*found, request_);
            found_.push_back(std::move(*found));
        }
        return true;
    }

    /// How the configuration differs from that of the file chosen, in one line; empty: not at all.
    std::string changes() const {
        std::string text;
        for (const auto& change : differences(shape_of(chosen_->header), request_.need.shape)) {
            text += (text.empty() ? "" : "; ") + change;
        }
        const Place& place = request_.places[chosen_->place];
        if (place.only_found) text += (text.empty() ? "" : "; ") + ("flows.file: it lay in " + place.folder);
        return text;
    }

    /// Removes the file at once, so that its memory is free for the next. Why not, if it could not.
    std::string remove(Found& found) {
        struct stat status {};
        const bool known = found.fd.ok() && fstat(found.fd.get(), &status) == 0;
        Place& place = request_.places[found.place];
        if (unlink(found.path.c_str()) != 0) {
            std::string reason = because();
            place.only_found = true;  // a new one could not take its name
            return reason;
        }
        found.fd = Fd();
        if (known) {
            const std::uint64_t freed = static_cast<std::uint64_t>(status.st_blocks) * 512;
            place.free_bytes += freed;
            if (!place.huge) request_.there.available_bytes += freed;
        }
        return "";
    }

    void refuse(Found& found, const Refusal& refusal) {
        std::string text = "flow file '" + found.path + "' refused: " + refusal.text() + ". Its connections are lost";
        if (const std::string failed = remove(found); !failed.empty()) text += "; it cannot be removed: " + failed;
        shout(std::move(text));
        result_.refused.push_back(refusal);
    }

    /// The youngest of those that may be used; the others are removed.
    void choose_among_found() {
        for (Found& found : found_) {
            if (found.refusal) {
                refuse(found, *found.refusal);
            } else if (chosen_ == nullptr || found.header.made_at_ns > chosen_->header.made_at_ns) {
                if (chosen_ != nullptr) drop_older(*chosen_);
                chosen_ = &found;
            } else {
                drop_older(found);
            }
        }
    }

    void drop_older(Found& found) {
        if (const std::string failed = remove(found); !failed.empty()) {
            shout("older flow file '" + found.path + "' beside a younger one cannot be removed: " + failed);
        } else {
            say("older flow file '" + found.path + "' beside a younger one: removed");
        }
    }

    bool adopt() {
        const Place& place = request_.places[chosen_->place];
        if (auto short_of = shortage(request_.need, 0, &place, request_.there)) {
            result_.error = std::move(*short_of);
            return false;
        }
        std::optional<Refusal> refusal;
        result_.file = FlowFileMaker::adopt(*chosen_, place.huge, refusal);
        if (!result_.file) {
            refuse(*chosen_, *refusal);
            chosen_ = nullptr;
            return false;
        }
        result_.origin = Origin::adopted;
        say("flow file '" + result_.file->path() + "' of " + mebibytes(result_.file->bytes()) + " adopted, " +
            place.describe());
        advise_large_pages(place);
        return true;
    }

    /// False: in none, `error` or a line says why.
    bool make_in_a_place() {
        std::vector<Place> left = request_.places;
        std::string why_not;
        for (;;) {
            const Choice choice = choose_place(request_.need, left, request_.there);
            if (!choice.place && chosen_ != nullptr && !choice.why_not.empty()) {
                give_up_old();
                left = request_.places;
                why_not.clear();
                continue;
            }
            if (!choice.place) {
                why_not += (why_not.empty() || choice.why_not.empty() ? "" : "\n") + choice.why_not;
                break;
            }
            std::string failed;
            result_.file = FlowFileMaker::make(path_in(*choice.place), request_, *choice.place, failed);
            if (result_.file) {
                made(choice.place->describe());
                advise_large_pages(*choice.place);
                return true;
            }
            why_not += (why_not.empty() ? "" : "\n") + failed;
            std::erase_if(left, [&](const Place& place) { return place.folder == choice.place->folder; });
        }
        if (why_not.empty()) why_not = "no hugetlbfs or tmpfs to make it in";
        if (request_.wish == Wish::required) {
            result_.error = why_not;
            return false;
        }
        shout("no flow file can be made, so connections will not survive a restart: " + why_not);
        return false;
    }

    /// Tells of the new file or memory and ties the old one to it.
    void made(const std::string& where) {
        const std::string& path = result_.file->path();
        const std::string what = (path.empty() ? "memory for connections" : "flow file '" + path + "'") + " of " +
                                 mebibytes(result_.file->bytes()) + " made, " + where;
        result_.origin = path.empty() ? Origin::memory : Origin::anew;
        if (chosen_ == nullptr) return say(what + ", empty");
        const std::string old_path = chosen_->path;
        const std::string why = changes();
        std::optional<Refusal> refusal;
        if (!FlowFileMaker::attach_old(*result_.file, *chosen_, request_.places[chosen_->place].huge, refusal)) {
            refuse(*chosen_, *refusal);
            chosen_ = nullptr;
            return say(what + ", empty");
        }
        result_.origin = Origin::import;
        say(what + ", to take the connections of '" + old_path + "'" + (why.empty() ? "" : " (" + why + ")"));
    }

    /// The old file's memory is what the new one needs: better to forward new connections than none.
    void give_up_old() {
        refuse(*chosen_, {RefusalKind::no_room, "the configuration differs (" + changes() +
                                                    ") and there is no memory for the old file and the new at once"});
        chosen_ = nullptr;
    }

    void make_without_file() {
        auto short_of = shortage(request_.need, without_file_bytes(), nullptr, request_.there);
        if (short_of && chosen_ != nullptr) {
            give_up_old();
            short_of = shortage(request_.need, without_file_bytes(), nullptr, request_.there);
        }
        if (short_of) {
            result_.error = std::move(*short_of);
            return;
        }
        result_.file = FlowFileMaker::without_file(request_);
        if (!result_.file) {
            result_.error = "no memory for connections: " + request_.need.describe() + ": " + because();
            return;
        }
        made("without a file, so that a restart ends them");
    }
    std::uint64_t without_file_bytes() const {
        return make_header(request_.need.layout, request_.need.shape, "", 4096, 0).file_bytes;
    }

    OpenRequest request_;
    std::vector<Found> found_;
    Found* chosen_ = nullptr;
    OpenedFile result_;
};

}  // namespace

OpenRequest request_for(const std::string& setting, const std::string& control_socket, bool huge, Need need,
                        std::string& error) {
    OpenRequest request;
    Places places = find_places(setting, control_socket, huge);
    error = std::move(places.error);
    request.name = file_name_for(control_socket);
    request.places = std::move(places.list);
    request.wish = wish_of(setting);
    request.need = std::move(need);
    request.there = read_memory_there();
    request.boot_id = read_boot_id();
    return request;
}

OpenedFile open_flow_file(const OpenRequest& request) {
    try {
        return Opening(request).run();
    } catch (const std::exception& fault) {  // a shape out of range, or no memory for a list
        OpenedFile failed;
        failed.error = fault.what();
        return failed;
    }
}

}  // namespace guideway::persist
