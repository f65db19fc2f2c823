// Sends small UDP datagrams as fast as one core can, for tests/bench/veth_compare.py.
//
//   veth_udp ADDRESS PORT SECONDS FLOWS BYTES
//
// FLOWS sockets with source ports of their own take turns, 32 datagrams each by one sendmmsg. Prints what the kernel took.
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr unsigned kBatch = 32;

int connected_socket(const char* address, const char* port) {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo* found = nullptr;
    if (const int error = getaddrinfo(address, port, &hints, &found); error != 0) {
        std::fprintf(stderr, "%s port %s: %s\n", address, port, gai_strerror(error));
        return -1;
    }
    const int socket = ::socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool connected = socket >= 0 && connect(socket, found->ai_addr, found->ai_addrlen) == 0;
    freeaddrinfo(found);
    if (connected) return socket;
    std::perror(address);
    if (socket >= 0) close(socket);
    return -1;
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 6) {
        std::fprintf(stderr, "usage: veth_udp ADDRESS PORT SECONDS FLOWS BYTES\n");
        return 2;
    }
    const double seconds = std::atof(arguments[3]);
    const int flows = std::atoi(arguments[4]);
    const int bytes = std::atoi(arguments[5]);
    if (seconds <= 0 || flows < 1 || flows > 10000 || bytes < 1 || bytes > 1400) {
        std::fprintf(stderr, "veth_udp: SECONDS > 0, FLOWS 1..10000, BYTES 1..1400\n");
        return 2;
    }
    std::vector<int> sockets;
    for (int i = 0; i < flows; ++i) {
        sockets.push_back(connected_socket(arguments[1], arguments[2]));
        if (sockets.back() < 0) return 1;
    }
    std::vector<char> payload(static_cast<std::size_t>(bytes), 'x');
    iovec piece{payload.data(), payload.size()};
    std::array<mmsghdr, kBatch> batch{};
    for (mmsghdr& message : batch) {
        message.msg_hdr.msg_iov = &piece;
        message.msg_hdr.msg_iovlen = 1;
    }

    using Clock = std::chrono::steady_clock;
    const Clock::time_point start = Clock::now();
    const Clock::time_point end =
        start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    std::uint64_t sent = 0;
    std::uint64_t refused = 0;  // by ICMP of an earlier datagram, or for want of buffers
    Clock::time_point now = start;
    for (std::size_t turn = 0; now < end; now = Clock::now()) {
        const int taken = sendmmsg(sockets[turn], batch.data(), kBatch, 0);
        if (taken > 0)
            sent += static_cast<std::uint64_t>(taken);
        else
            ++refused;
        turn = turn + 1 == sockets.size() ? 0 : turn + 1;
    }
    std::printf("{\"sent\": %llu, \"refused\": %llu, \"seconds\": %.6f}\n", static_cast<unsigned long long>(sent),
                static_cast<unsigned long long>(refused), std::chrono::duration<double>(now - start).count());
    return 0;
}
