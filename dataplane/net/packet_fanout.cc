// setsockopt() of this program, in front of libc's: AF_PACKET sockets are not asked to put fragments together.
//
// Why: DPDK's AF_PACKET driver joins its sockets to a fan-out group with PACKET_FANOUT_FLAG_DEFRAG, which cannot be told otherwise by its
// arguments nor changed afterwards. The kernel then hands us IPv4 datagrams as large as 64 KiB, which no packet buffer holds: cut off, they end as
// ip_truncated. We take fragments as they came (worker/fragments.cc); by their addresses the kernel's hash brings all of one datagram to one socket.
//
// Part of the executable alone (Meson exports the symbol), so that the driver, a shared library, finds it before libc's.
#include <cstring>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

extern "C" [[gnu::visibility("default")]] int setsockopt(int socket, int level, int option, const void* value,
                                                         socklen_t size) noexcept {
    int fanout = 0;
    if (level == SOL_PACKET && option == PACKET_FANOUT && value != nullptr && size == sizeof fanout) {
        std::memcpy(&fanout, value, sizeof fanout);
        fanout = static_cast<int>(static_cast<unsigned>(fanout) & ~(unsigned{PACKET_FANOUT_FLAG_DEFRAG} << 16));
        value = &fanout;
    }
    return static_cast<int>(syscall(SYS_setsockopt, socket, level, option, value, size));
}
