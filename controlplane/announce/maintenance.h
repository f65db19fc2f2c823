// Maintenance: everything is withdrawn until its end, whatever else happens. It is a file beside the store, so that it outlives restarts,
// and can be begun and ended while no control plane runs. In it stand since when, and why; an empty one serves as well.
//
// Worked example: MaintenanceFile("/var/lib/guideway/maintenance").begin("new NIC") -> a Held announcer withdraws everything at its next
// call, and tells nothing until end(). It is called every second at the latest; a control plane that runs sees it by maintenance_watch.h.
// Thread contract: MaintenanceFile from any thread and process; Held as Announcer.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "api/contract/counters.h"
#include "controlplane/announce/announcer.h"

namespace guideway::announce {

struct MaintenanceNote {
    std::string reason;                             ///< empty: not said
    std::chrono::system_clock::time_point since{};  ///< whole seconds
    friend bool operator==(const MaintenanceNote&, const MaintenanceNote&) = default;
};

/// Connections that somebody may still need: what the end of an appliance's service waits for.
std::uint64_t open_connections(const contract::Counters& counters);

class MaintenanceFile {
  public:
    explicit MaintenanceFile(std::string path) : path_(std::move(path)) {}
    /// Beside the store.
    static MaintenanceFile beside(const std::string& store);

    bool on() const;
    /// What stands in it; none: it is not there, so maintenance is off.
    std::optional<MaintenanceNote> note() const;
    /// Durable on return. Empty: done, or already so; else why not. Of one that lasts already the begin stays, and without `reason` what was
    /// said too. A disk that has no room for words does not keep maintenance from beginning: then it is without them.
    std::string begin(const std::optional<std::string>& reason = std::nullopt) const;
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
