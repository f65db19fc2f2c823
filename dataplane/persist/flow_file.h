// FlowFile: the memory of all connections of one dataplane, in a file of its own, so that a dataplane started again, also after
// kill -9 and as another build, finds them.
//
// Knows nothing of entries but their size: the flow tables read and write them in place and say themselves which are whole
// (an entry is in use iff its commit byte, written last, is not zero). Indexes are not in the file.
//
// Terms:
//   adopted    the file found has this layout, boot and shape: its regions are the tables' memory from here on.
//   import     this layout and boot, another shape (workers, capacities, SNAT addresses): a new file is made beside the
//              old one; the caller copies what it can keep; ready() then puts the new one in the old one's place.
//   refused    anything else is removed and a new, empty file made. The reason is for the log, loudly.
//   owner      a file has one: flock, given back by the kernel with the process. A second dataplane gets an error.
//
// Order of events, so that kill -9 at any instant leaves either the old file or a whole new one under the name:
//   NAME.new made, state "being made" -> populated, imported -> state "ready" -> renamed to NAME. A NAME.new found at start
//   was cut short and is removed.
//
// Worked example:
//   OpenRequest request = request_for(config.flows_file, config.control_socket, true, need, error);
//   OpenedFile opened = open_flow_file(request);                      where, adopt or make: opened.lines say what was decided
//   if (!opened.file) fail(opened.error);
//   for each worker w, on its core:  opened.file->populate(w);        pages there, from its NUMA node
//       FlowTableV4 table(opened.file->entries(w, kV4), index, ...);
//       adopted: table.restore(judge)
//       import:  for each old worker o: walk opened.file->old_entries(o, kV4), insert what belongs to w
//   opened.file->ready();  log what a KeptReport says
//
// Thread contract: the start-up thread; populate() from any one thread at a time. The regions are their workers' afterwards.
// No function of this is for the poll path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dataplane/persist/file_header.h"
#include "dataplane/persist/place.h"

namespace guideway::persist {

class FlowFile {
  public:
    ~FlowFile();  ///< a file that was not ready is removed
    FlowFile(const FlowFile&) = delete;
    FlowFile& operator=(const FlowFile&) = delete;

    /// capacity x entry size bytes, aligned to 2 MiB; zero in a new file.
    std::span<std::byte> entries(std::uint32_t worker, Family family) const;
    /// All pages of this worker's regions there, with their contents, from the NUMA node the caller runs on (where they are not
    /// there already). Returns why not.
    std::optional<std::string> populate(std::uint32_t worker) const;

    /// The shape of the file to import from; none: nothing to import.
    const std::optional<Shape>& old_shape() const;
    std::span<const std::byte> old_entries(std::uint32_t worker, Family family) const;
    /// Puts a new file in its place and lets the old one go. Call once all is restored; nothing to do for an adopted
    /// file. Returns why not; then the old file is still there and this one's connections will not survive.
    std::optional<std::string> ready();

    /// Empty: memory without a file.
    const std::string& path() const;
    std::uint64_t bytes() const;

  private:
    struct Parts;
    friend struct FlowFileMaker;
    explicit FlowFile(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

/// What the configuration says of the file.
enum class Wish : std::uint8_t {
    none,      ///< "none": memory alone
    wanted,    ///< "auto": where no file can be made, memory, saying so
    required,  ///< a folder: where no file can be made there, an error
};
/// Of flows.file.
inline Wish wish_of(const std::string& setting) {
    return setting == "none" ? Wish::none : setting == "auto" ? Wish::wanted : Wish::required;
}

struct OpenRequest {
    std::string name;           ///< file_name_for(control_socket)
    std::vector<Place> places;  ///< find_places(): in order of preference
    Wish wish = Wish::wanted;
    Need need;  ///< with layout and shape
    MemoryThere there;
    std::string boot_id;
    /// How long to wait for a file that is in use: a process killed a moment ago gives it back only when its memory is.
    std::uint32_t patience_ms = 2000;
};

/// Everything read from this machine: flows.file and control_socket of the configuration, whether new files may take huge pages
/// (memory.huge_pages is not "never"). `error` where flows.file cannot be used.
OpenRequest request_for(const std::string& setting, const std::string& control_socket, bool huge, Need need,
                        std::string& error);

enum class Origin : std::uint8_t {
    anew,     ///< empty
    adopted,  ///< as it was
    import,   ///< empty, beside an old one; the new one may be memory alone: path() is empty then
    memory,   ///< empty, and no file
};

/// For the log, in order.
struct Line {
    bool loud;  ///< a warning: connections are lost, or will be
    std::string text;
};

struct OpenedFile {
    std::unique_ptr<FlowFile> file;  ///< none: see error
    Origin origin = Origin::anew;
    std::vector<Refusal> refused;  ///< files that were found and removed
    std::vector<Line> lines;       ///< tells of `refused` too
    std::string error;
};

OpenedFile open_flow_file(const OpenRequest& request);

}  // namespace guideway::persist
