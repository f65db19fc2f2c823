// MaintenanceWatch: maintenance as a control plane that runs knows it. It sees within a second what others did to the file
// (`guideway-controlplane --maintenance`), and what is asked of it itself at once. Whoever asks it waits for no disk.
//
// Worked example: set(true, "new NIC") -> the file is durable, `changed` is called, then set() returns; look() of the thread finds nothing new.
// Somebody removes the file -> a second later `changed` is called with an empty state.
//
// Thread contract: every method from any thread, but start() and stop() from one. `changed` is called by one thread at a time, in the order
// of the changes; it must not call look() or set().
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "controlplane/announce/maintenance.h"

namespace guideway::announce {

class MaintenanceWatch {
  public:
    /// None: off.
    using State = std::optional<MaintenanceNote>;

    MaintenanceWatch(MaintenanceFile file, std::function<void(const State&)> changed,
                     std::chrono::milliseconds every = std::chrono::seconds(1));
    ~MaintenanceWatch();  ///< stops
    MaintenanceWatch(const MaintenanceWatch&) = delete;
    MaintenanceWatch& operator=(const MaintenanceWatch&) = delete;

    void start();
    void stop();

    /// As last seen.
    State state() const;
    /// Reads the file now.
    void look();
    /// Durable on return, and acted on. Empty: done; else why not, and all is as it was.
    std::string set(bool on, const std::string& reason);

  private:
    void look_locked();
    void run();

    const MaintenanceFile file_;
    const std::function<void(const State&)> changed_;
    const std::chrono::milliseconds every_;

    std::mutex file_mutex_;     ///< held while the disk is asked, and `changed` is called
    mutable std::mutex mutex_;  ///< of what follows; never held while the disk is asked
    std::condition_variable woken_;
    State state_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace guideway::announce
