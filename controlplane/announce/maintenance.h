// Maintenance: everything is withdrawn until its end, whatever else happens. It is a file beside the store, so that it outlives restarts,
// and can be begun and ended while no control plane runs.
//
// Worked example: begin("/var/lib/guideway/maintenance", "new NIC") -> a Held announcer withdraws everything at its next call, and tells
// nothing until end(). It is called every second at the latest.
// Thread contract: MaintenanceFile from any thread and process; Held as Announcer.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "controlplane/announce/announcer.h"

namespace guideway::announce {

class MaintenanceFile {
  public:
    explicit MaintenanceFile(std::string path) : path_(std::move(path)) {}
    /// Beside the store.
    static MaintenanceFile beside(const std::string& store);

    bool on() const;
    /// Durable on return. Empty: done, or already so; else why not.
    std::string begin() const;
    std::string end() const;
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

/// Hands everything on to another announcer, but tells of nothing during maintenance.
class Held final : public Announcer {
  public:
    Held(std::unique_ptr<Announcer> inner, MaintenanceFile file) : inner_(std::move(inner)), file_(std::move(file)) {}
    std::variant<std::vector<Route>, std::string> present() override { return inner_->present(); }
    std::string apply(const std::vector<Route>& wanted) override {
        // A withdrawal does not wait for the disk that the file is on.
        return inner_->apply(wanted.empty() || !file_.on() ? wanted : std::vector<Route>{});
    }

  private:
    std::unique_ptr<Announcer> inner_;
    MaintenanceFile file_;
};

}  // namespace guideway::announce
