// Counters while the dataplane is stuck: whoever asks meanwhile shares the one answer that there is none.
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "controlplane/manager.h"
#include "controlplane/metrics.h"
#include "controlplane/store/sqlite_store.h"
#include "tests/unit/controlplane/fake_dataplane.h"

namespace guideway::controlplane {
namespace {

using namespace std::chrono_literals;
using testing_support::TemporaryFolder;

/// Takes every connection and request, answers none, and counts requests for counters.
class StuckDataplane {
  public:
    explicit StuckDataplane(const std::string& path) {
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
        EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
        EXPECT_EQ(::listen(listener_, 64), 0);
        thread_ = std::thread([this] { run(); });
    }
    ~StuckDataplane() {
        eventfd_write(stop_, 1);
        thread_.join();
        ::close(listener_);
        ::close(stop_);
    }
    StuckDataplane(const StuckDataplane&) = delete;
    StuckDataplane& operator=(const StuckDataplane&) = delete;
    int asked() const { return asked_; }

  private:
    void run() {
        std::vector<pollfd> waits{{stop_, POLLIN, 0}, {listener_, POLLIN, 0}};
        while (::poll(waits.data(), waits.size(), -1) >= 0 && waits[0].revents == 0) {
            for (std::size_t i = 2; i < waits.size(); ++i) {
                if (waits[i].revents == 0) continue;
                char text[4096];
                const ssize_t count = ::recv(waits[i].fd, text, sizeof(text), 0);
                if (count <= 0) {
                    ::close(waits[i].fd);
                    waits[i].fd = -1;
                } else if (std::string_view(text, static_cast<std::size_t>(count)).find("counters") !=
                           std::string_view::npos) {
                    ++asked_;
                }
            }
            if (waits[1].revents != 0) {
                waits.push_back({::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC), POLLIN, 0});
            }
        }
        for (std::size_t i = 2; i < waits.size(); ++i) {
            if (waits[i].fd >= 0) ::close(waits[i].fd);
        }
    }

    int listener_ = -1;
    int stop_ = eventfd(0, EFD_CLOEXEC);
    std::atomic<int> asked_{0};
    std::thread thread_;
};

TEST(Counters, ManyWhoAskAStuckDataplaneDoNotWaitForEachOther) {
    const TemporaryFolder folder;
    const StuckDataplane dataplane(folder.file("dp.sock"));
    Metrics metrics;
    auto opened = store::SqliteStore::open(folder.file("store.db"));
    ManagerOptions options;
    options.link.socket = folder.file("dp.sock");
    options.counters_timeout = 200ms;
    auto managed = Manager::open(std::move(std::get<std::unique_ptr<store::SqliteStore>>(opened)), options, metrics);
    Manager& manager = *std::get<std::unique_ptr<Manager>>(managed);

    constexpr int kClients = 8;
    std::barrier all_there(kClients);
    std::atomic<int> failed{0};
    std::vector<std::thread> clients;
    for (int i = 0; i < kClients; ++i) {
        clients.emplace_back([&] {
            all_there.arrive_and_wait();
            if (!manager.counters().ok()) ++failed;
        });
    }
    for (std::thread& client : clients) client.join();
    EXPECT_EQ(failed, kClients);
    // Each asking for itself would be one after the other, a whole time-out each: the last scrape would come too late.
    EXPECT_LT(dataplane.asked(), kClients);
    EXPECT_GE(dataplane.asked(), 1);
}

}  // namespace
}  // namespace guideway::controlplane
