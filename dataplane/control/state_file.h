// StateFile: the last good ForwardingState on disk, so that a restarted dataplane forwards with everything
// else dead (I1).
//
// Holds text and knows nothing of its meaning. A write is whole or not at all: temporary file in the same
// folder, fsync, rename, fsync of the folder. Thread contract: one thread at a time.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace guideway::control {

class StateFile {
  public:
    /// A larger file is refused: it is not ours.
    static constexpr std::size_t kLargest = 256U << 20;

    explicit StateFile(std::string path);

    struct Loaded {
        std::optional<std::string> text;   ///< none: no file yet, or an error
        std::optional<std::string> error;  ///< a sentence; none when the file is simply not there
    };
    Loaded load() const;
    /// Returns why it could not; the file is then the old one, unharmed.
    std::optional<std::string> store(const std::string& text) const;
    /// Renames a damaged file to "<path>.damaged" for a person to look at. Returns where it went, or none if
    /// it failed.
    std::optional<std::string> set_aside() const;
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

}  // namespace guideway::control
