// OutputFile: a file that is there whole or not at all, and for its owner alone (0600): secrets and backups.
//
// Written beside its place under another name, synced, then put in place; given up, nothing is left. An existing file is only replaced
// where that was asked for.
// Worked example: OutputFile out("gw.backup", false); out.write("..."); if (auto error = out.finish(); !error.empty()) ...
// Thread contract: one thread.
#pragma once

#include <string>
#include <string_view>

namespace guideway::cli {

class OutputFile {
  public:
    OutputFile(std::string path, bool replace);
    ~OutputFile();
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    /// False: error() says why.
    bool write(std::string_view bytes);
    /// Puts it in place; the error, or empty.
    std::string finish();
    const std::string& error() const { return error_; }

  private:
    void fail(const std::string& what);

    const std::string path_;
    const bool replace_;
    std::string temporary_;
    int fd_ = -1;
    std::string error_;
};

}  // namespace guideway::cli
