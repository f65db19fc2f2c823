// FakeBird: a UNIX socket that speaks as BIRD's control socket does, and answers every question with one text. For tests alone.
// Thread contract: any method from any thread.
#pragma once

#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <gtest/gtest.h>

namespace guideway::announce::testing_support {

class FakeBird {
  public:
    /// Listens once the constructor has returned.
    FakeBird(const std::string& path, std::string answer) : path_(path), answer_(std::move(answer)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
        ::unlink(path.c_str());
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << path;
        EXPECT_EQ(::listen(listener_, 8), 0);
        thread_ = std::thread([this] { serve(); });
    }
    ~FakeBird() {
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        ::close(listener_);
        ::unlink(path_.c_str());
    }
    FakeBird(const FakeBird&) = delete;
    FakeBird& operator=(const FakeBird&) = delete;

    void set_answer(std::string answer) {
        const std::lock_guard lock(mutex_);
        answer_ = std::move(answer);
    }
    unsigned asked() const { return asked_; }

    /// What BIRD says of a peer.
    static std::string peer(const std::string& name, bool established, unsigned routes = 0) {
        const std::string state = established ? "Established" : "Active";
        return "1002-" + name + " BGP --- " + (established ? "up" : "start") + " 20:10:47.155 " + state +
               "\n1006-  BGP state:          " + state + "\n" +
               (established ? "" : "     Last error:       Hold timer expired\n") +
               "     Routes:         0 imported, " + std::to_string(routes) + " exported, 0 preferred\n";
    }
    static std::string whole(const std::string& peers) {
        return "2002-Name Proto Table State Since Info\n" + peers + "0000 \n";
    }

  private:
    void serve() {
        for (;;) {
            const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (client < 0) return;
            say(client, "0001 BIRD 2.0.12 ready.\n");
            char block[256];
            if (::recv(client, block, sizeof block, 0) > 0) {
                ++asked_;
                std::string text;
                {
                    const std::lock_guard lock(mutex_);
                    text = answer_;
                }
                say(client, text);
            }
            ::close(client);
        }
    }
    static void say(int client, const std::string& text) {
        std::size_t sent = 0;
        while (sent < text.size()) {
            const ssize_t some = ::send(client, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
            if (some <= 0) return;
            sent += static_cast<std::size_t>(some);
        }
    }

    const std::string path_;
    int listener_ = -1;
    std::mutex mutex_;
    std::string answer_;
    std::atomic<unsigned> asked_{0};
    std::thread thread_;
};

}  // namespace guideway::announce::testing_support
