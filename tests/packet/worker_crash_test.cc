// Whole workers, with packets, killed at any instant: every connection whose handshake was through is there afterwards and carries
// packets the way it did.
//
// A child plays two workers over entries in shared memory. It writes down each connection when its handshake has come through, and
// when it begins to end it, in memory shared too. SIGKILL comes at a random instant; the next child adopts the entries, sends packets
// over all connections written down, and goes on opening and ending others until it is killed itself.
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {
namespace {

using namespace packet;

constexpr std::uint32_t kWorkers = 2;
constexpr std::uint32_t kCapacity = 256;
constexpr std::uint16_t kConnections = 64;
constexpr std::uint16_t kFirstPort = 40000;
constexpr std::uint32_t kMostMicroseconds = 3000;

enum Phase : std::uint32_t { kNothing, kUnderWay, kEstablished };

/// What the children leave to each other, besides the entries.
struct Book {
    struct Connection {
        std::atomic<std::uint32_t> phase;
        std::uint32_t syn_bytes;
        std::array<std::uint8_t, 256> syn;  ///< as it left for the backend
    };
    std::array<Connection, kConnections> connections;
    std::atomic<std::uint32_t> checked;  ///< by this child: done, it may be killed
    std::atomic<std::uint32_t> failed;
    std::array<char, 400> what;
    std::atomic<std::uint64_t> verified;  ///< connections found alive, in all
    std::atomic<std::uint64_t> opened;
};

template <typename T>
T* shared(std::size_t bytes = sizeof(T)) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    return static_cast<T*>(memory);
}

Frame request(std::uint16_t number, std::uint8_t flags) {
    const bool v6 = number % 2 == 1;
    return PacketBuilder()
        .ip(v6 ? kClientV6 : kClient, v6 ? kVipV6 : kVip)
        .tcp(static_cast<std::uint16_t>(kFirstPort + number), 80, flags)
        .payload(20)
        .build();
}

class Child {
  public:
    Child(Book& book, LabSettings settings, std::uint32_t round)
        : book_(book), lab_(std::move(settings)), random_(round) {}

    [[noreturn]] void run() {
        lab_.apply(lab_.web());
        const std::vector<Outcome> outcomes = lab_.adopt_connections();
        const std::string report = report_of(outcomes).text("memory");
        for (const Outcome& outcome : outcomes) {
            if (outcome[Verdict::damaged] + outcome[Verdict::doubled] + outcome[Verdict::no_room] != 0) fail(report);
        }
        std::uint64_t alive = 0;
        for (std::uint16_t i = 0; i < kConnections; ++i) {
            if (book_.connections[i].phase.load() != kEstablished) continue;
            check(i, report);
            ++alive;
        }
        book_.verified += alive;
        book_.checked = 1;
        for (;;) step();
    }

  private:
    [[noreturn]] void fail(const std::string& what) {
        std::strncpy(book_.what.data(), what.c_str(), book_.what.size() - 1);
        book_.failed = 1;
        _exit(1);
    }
    Frame syn_of(std::uint16_t i) const {
        const Book::Connection& one = book_.connections[i];
        return Frame(one.syn.begin(), one.syn.begin() + one.syn_bytes);
    }
    std::uint32_t any_worker() { return static_cast<std::uint32_t>(random_() % kWorkers); }
    Frame from_client(std::uint16_t i, std::uint8_t flags) {
        return lab_.pass(kClientPort, request(i, flags), any_worker());
    }
    Frame from_backend(std::uint16_t i, std::uint8_t flags) {
        return lab_.pass(kNodePort, lab_.reply_to(syn_of(i), flags), any_worker());
    }

    void check(std::uint16_t i, const std::string& report) {
        const auto about = [&] { return "connection " + std::to_string(i) + " (" + report + "): "; };
        const Frame out = from_client(i, tcp::kAck);
        if (out.empty()) fail(about() + "the client's packet did not come through");
        const packet::ParsedPacket was = parsed(syn_of(i));
        const packet::ParsedPacket is = parsed(out);
        if (was.has_v4 ? !(was.v4 == is.v4) : !(was.v6 == is.v6)) fail(about() + "goes elsewhere: " + summary(out));
        if (from_backend(i, tcp::kAck).empty()) fail(about() + "the backend's packet did not come through");
    }

    void step() {
        const auto i = static_cast<std::uint16_t>(random_() % kConnections);
        Book::Connection& one = book_.connections[i];
        const std::uint32_t phase = one.phase.load();
        if (phase == kEstablished && random_() % 4 != 0) {
            check(i, "under way");
        } else if (phase == kEstablished) {
            one.phase = kUnderWay;
            for (const std::uint8_t flags : {tcp::kFin, tcp::kAck}) {
                from_client(i, flags | tcp::kAck);
                from_backend(i, flags | tcp::kAck);
            }
        } else {
            // Whatever an earlier child left of it: a SYN opens it, or goes on with what is half open.
            one.phase = kUnderWay;
            from_client(i, tcp::kRst);
            const Frame syn = from_client(i, tcp::kSyn);
            if (syn.empty() || syn.size() > one.syn.size()) return;
            std::memcpy(one.syn.data(), syn.data(), syn.size());
            one.syn_bytes = static_cast<std::uint32_t>(syn.size());
            if (from_backend(i, tcp::kSyn | tcp::kAck).empty() || from_client(i, tcp::kAck).empty()) return;
            one.phase = kEstablished;
            ++book_.opened;
        }
    }

    Book& book_;
    Lab lab_;
    std::mt19937 random_;
};

TEST(WorkerCrash, ConnectionsThatWereThroughCarryPacketsAfterAKillAtAnyInstant) {
    const char* wish = std::getenv("GUIDEWAY_KILLS");
    const int rounds = wish != nullptr ? std::atoi(wish) : 100;
    Book* book = shared<Book>();
    LabSettings settings;
    settings.workers = kWorkers;
    settings.worker.capacity.flows_ipv4 = settings.worker.capacity.flows_ipv6 = kCapacity;
    settings.worker.refusals_per_second = 0;
    for (std::uint32_t worker = 0; worker < kWorkers; ++worker) {
        constexpr std::size_t kV4Bytes = kCapacity * sizeof(flow::FlowEntryV4);
        constexpr std::size_t kV6Bytes = kCapacity * sizeof(flow::FlowEntryV6);
        const std::span<std::byte> bytes(shared<std::byte>(kV4Bytes + kV6Bytes), kV4Bytes + kV6Bytes);
        settings.entries.push_back({bytes.first(kV4Bytes), bytes.subspan(kV4Bytes)});
    }
    std::mt19937 random(1);
    for (int round = 0; round < rounds; ++round) {
        book->checked = 0;
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) Child(*book, settings, static_cast<std::uint32_t>(round)).run();
        int status = 0;
        while (book->checked == 0 && book->failed == 0) {
            ASSERT_EQ(waitpid(child, &status, WNOHANG), 0)
                << "round " << round << ": the child ended by itself " << book->what.data();
            usleep(200);
        }
        const timespec later{0, static_cast<long>(random() % kMostMicroseconds) * 1000};
        nanosleep(&later, nullptr);
        kill(child, SIGKILL);
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_EQ(book->failed.load(), 0U) << "round " << round << ": " << book->what.data();
    }
    std::printf("%d kills, %llu connections opened, %llu times one was found alive by the next process\n", rounds,
                static_cast<unsigned long long>(book->opened.load()),
                static_cast<unsigned long long>(book->verified.load()));
    EXPECT_GT(book->opened.load(), 0U);
    EXPECT_GT(book->verified.load(), static_cast<std::uint64_t>(rounds));
}

}  // namespace
}  // namespace guideway::worker::testing
