#include "dataplane/net/kernel_path.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

#include <rte_mbuf.h>
#include <rte_ring.h>
#include <spdlog/spdlog.h>

#include "dataplane/net/ports.h"
#include "dataplane/worker/segments.h"

namespace guideway::net {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kBurst = 64;
constexpr std::size_t kMostSegments = 64;  ///< of a frame: 65,535 bytes in buffers of 2048 are 33
constexpr std::uint64_t kWakeEvent = ~std::uint64_t{0};
constexpr auto kBusyFor = std::chrono::milliseconds(20);  ///< after the last frame
constexpr timespec kShortWait{0, 100'000};
constexpr timespec kLongWait{0, 1'000'000};

}  // namespace

KernelPath::KernelPath(std::vector<KernelPathPort> ports, std::vector<rte_ring*> to_kernel, rte_ring* from_kernel,
                       rte_mempool* pool)
    : ports_(std::move(ports)),
      to_kernel_(std::move(to_kernel)),
      from_kernel_(from_kernel),
      pool_(pool),
      counters_(std::make_unique<Counters[]>(ports_.size())) {}

KernelPath::~KernelPath() { stop(); }

std::optional<std::string> KernelPath::start() {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    wake_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    const auto watch = [this](int fd, std::uint64_t what) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = what;
        return epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
    };
    bool good = epoll_ >= 0 && wake_ >= 0 && watch(wake_, kWakeEvent);
    for (std::size_t port = 0; good && port < ports_.size(); ++port) good = watch(ports_[port].tap.fd(), port);
    if (!good) return std::string("kernel path: ") + std::strerror(errno);
    thread_ = std::thread([this] { run(); });
    pthread_setname_np(thread_.native_handle(), "gw-kernel-path");
    return std::nullopt;
}

void KernelPath::stop() {
    if (thread_.joinable()) {
        const std::uint64_t one = 1;
        while (write(wake_, &one, sizeof one) < 0 && errno == EINTR) {
        }
        thread_.join();
    }
    for (int* fd : {&epoll_, &wake_}) {
        if (*fd >= 0) close(*fd);
        *fd = -1;
    }
}

void KernelPath::run() {
    std::array<epoll_event, 32> events;
    auto last_frame = Clock::now();
    for (;;) {
        const timespec& wait = Clock::now() - last_frame < kBusyFor ? kShortWait : kLongWait;
        const int count = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &wait, nullptr);
        bool moved = false;
        for (int i = 0; i < count; ++i) {
            const std::uint64_t what = events[static_cast<std::size_t>(i)].data.u64;
            if (what == kWakeEvent) return;
            moved = drain_tap(static_cast<std::size_t>(what)) || moved;
        }
        moved = drain_rings() || moved;
        moved = drain_own() || moved;
        if (moved) last_frame = Clock::now();
    }
}

bool KernelPath::drain_rings() {
    bool moved = false;
    for (rte_ring* ring : to_kernel_) {
        std::array<void*, kBurst> frames;
        const unsigned count = rte_ring_sc_dequeue_burst(ring, frames.data(), kBurst, nullptr);
        for (unsigned i = 0; i < count; ++i) {
            auto* frame = static_cast<rte_mbuf*>(frames[i]);
            write_frame(frame);
            rte_pktmbuf_free(frame);
        }
        moved = moved || count > 0;
    }
    return moved;
}

void KernelPath::write_frame(rte_mbuf* frame) {
    if (frame->port >= ports_.size()) return;
    const KernelPathPort& port = ports_[frame->port];
    Counters& counters = counters_[frame->port];
    std::array<iovec, kMostSegments> parts;
    int count = 0;
    for (const rte_mbuf* segment = frame; segment != nullptr; segment = segment->next) {
        if (count == static_cast<int>(parts.size())) break;
        parts[static_cast<std::size_t>(count++)] = {rte_pktmbuf_mtod(segment, void*), rte_pktmbuf_data_len(segment)};
    }
    const bool taken = count == frame->nb_segs && port.tap.write(parts.data(), count);
    (taken ? counters.to_kernel : counters.refused).fetch_add(1, std::memory_order_relaxed);
}

/// False: no frame there.
bool KernelPath::read(std::size_t index, void* data, std::size_t size, std::size_t& length) {
    const Tap& tap = ports_[index].tap;
    const Tap::Read result = tap.read(data, size, length);
    if (result == Tap::Read::gone && epoll_ctl(epoll_, EPOLL_CTL_DEL, tap.fd(), nullptr) == 0) {
        // Left in the set it would be reported for ever.
        spdlog::error(
            "the TAP twin of port {} (counted from 0) was deleted: its addresses, routes and neighbours are "
            "gone; start guideway-dataplane again to have it made anew",
            index);
    }
    return result == Tap::Read::frame;
}

bool KernelPath::drain_tap(std::size_t index) {
    const std::size_t largest = frame_bytes(ports_[index].mtu);
    read_buffer_.resize(std::max(read_buffer_.size(), largest));
    for (unsigned i = 0; i < kBurst; ++i) {
        std::size_t length = 0;
        if (!read(index, read_buffer_.data(), largest, length)) return i > 0;
        if (put_on_wire(index, {read_buffer_.data(), length}))
            counters_[index].from_kernel.fetch_add(1, std::memory_order_relaxed);
    }
    return true;
}

bool KernelPath::send(std::size_t port, std::span<const std::uint8_t> frame) {
    if (port >= ports_.size() || frame.size() > frame_bytes(ports_[port].mtu)) return false;
    const std::lock_guard lock(own_mutex_);
    if (own_.size() >= kMostWaiting) return false;
    own_.push_back({port, {frame.begin(), frame.end()}});
    return true;
}

bool KernelPath::drain_own() {
    std::deque<OwnFrame> frames;
    {
        const std::lock_guard lock(own_mutex_);
        frames.swap(own_);
    }
    for (const OwnFrame& one : frames) put_on_wire(one.port, one.bytes);
    return !frames.empty();
}

/// False, and counted: no room.
bool KernelPath::put_on_wire(std::size_t port, std::span<const std::uint8_t> bytes) {
    rte_mbuf* frame = worker::segments::frame_of(pool_, bytes);
    if (frame != nullptr) {
        frame->port = static_cast<std::uint16_t>(port);
        if (rte_ring_sp_enqueue(from_kernel_, frame) == 0) return true;
    }
    rte_pktmbuf_free(frame);
    counters_[port].full.fetch_add(1, std::memory_order_relaxed);  // kernel_path_full
    return false;
}

std::vector<KernelPathCounts> KernelPath::counts() const {
    std::vector<KernelPathCounts> list(ports_.size());
    for (std::size_t port = 0; port < ports_.size(); ++port) {
        list[port] = {counters_[port].to_kernel.load(std::memory_order_relaxed),
                      counters_[port].from_kernel.load(std::memory_order_relaxed),
                      counters_[port].refused.load(std::memory_order_relaxed),
                      counters_[port].full.load(std::memory_order_relaxed)};
    }
    return list;
}

}  // namespace guideway::net
