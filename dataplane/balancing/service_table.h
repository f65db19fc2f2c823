// ServiceTable: from (VIP, protocol, port) of a packet to the service; AddressSet: is this one of our addresses?
//
// Both are open-addressing hash tables at most half full, built once and then only read. Keys are compared as they
// stand in the packet (network order). Lookups neither allocate nor write. VIPs and ports come from the operator, not
// from packets, so the hash needs no secret.
//
// Worked example: services 203.0.113.10 TCP 80 (slot 0) and UDP 53 (slot 1)
//   table.find_v4(destination, 6, htons(80))   -> entry of slot 0
//   table.find_v4(destination, 6, htons(81))   -> null; vips.contains_v4(destination) is true: port closed, refuse
//   vips.contains_v4(other)                    -> false: the kernel's
//
// Thread contract: built by the control thread, const afterwards, read by all workers.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "api/contract/ip_address.h"
#include "dataplane/guard/meter.h"

namespace guideway::guard {
class SourceRanges;
}

namespace guideway::balancing {

struct ServiceEntry {
    IpAddress vip;
    std::uint8_t protocol = 0;  ///< IANA
    std::uint8_t incarnation = 0;
    std::uint16_t port_be = 0;          ///< network order
    std::uint16_t backend_port_be = 0;  ///< network order; 0 where every backend has its own
    std::uint16_t slot = 0;
    std::uint16_t backend_set = 0;           ///< index into the snapshot's sets
    std::uint32_t idle_timeout_seconds = 0;  ///< 0: the dataplane's default
    std::uint32_t affinity_seconds = 0;      ///< 0: none
    /// Who may open connections; the snapshot's. Null: everybody.
    const guard::SourceRanges* source_ranges = nullptr;
    guard::ServiceLimits limits = {};
};

namespace detail {

inline std::uint64_t mix(std::uint64_t value) {  // MurmurHash3's 64-bit finaliser (Appleby, public domain)
    value = (value ^ (value >> 33)) * 0xff51afd7ed558ccdULL;
    value = (value ^ (value >> 33)) * 0xc4ceb9fe1a85ec53ULL;
    return value ^ (value >> 33);
}

inline std::uint64_t hash_v4(std::uint32_t address, std::uint32_t rest) {
    return mix(std::uint64_t{address} << 32 | rest);
}

inline std::uint64_t hash_v6(const std::uint8_t* address, std::uint32_t rest) {
    std::array<std::uint64_t, 2> words;
    std::memcpy(words.data(), address, sizeof words);
    return mix(mix(words[0] ^ rest) + words[1]);
}

}  // namespace detail

class ServiceTable {
  public:
    ServiceTable() : ServiceTable(std::span<const ServiceEntry>{}) {}
    /// Where two entries have the same key the first is found.
    explicit ServiceTable(std::span<const ServiceEntry> services);

    /// Address and port in network order. Null: no such service. Valid as long as the table.
    const ServiceEntry* find_v4(std::uint32_t address_be, std::uint8_t protocol, std::uint16_t port_be) const noexcept {
        const std::uint32_t rest = rest_of(protocol, port_be);
        for (std::uint64_t i = detail::hash_v4(address_be, rest);; ++i) {
            const SlotV4& slot = v4_[i & mask_v4_];
            if (slot.service == kNone) return nullptr;
            if (slot.address == address_be && slot.rest == rest) return &services_[slot.service];
        }
    }
    /// `address` points at 16 bytes.
    const ServiceEntry* find_v6(const std::uint8_t* address, std::uint8_t protocol,
                                std::uint16_t port_be) const noexcept {
        const std::uint32_t rest = rest_of(protocol, port_be);
        for (std::uint64_t i = detail::hash_v6(address, rest);; ++i) {
            const SlotV6& slot = v6_[i & mask_v6_];
            if (slot.service == kNone) return nullptr;
            if (slot.rest == rest && std::memcmp(slot.address.data(), address, 16) == 0) {
                return &services_[slot.service];
            }
        }
    }
    const ServiceEntry* find(const IpAddress& vip, std::uint8_t protocol, std::uint16_t port_be) const noexcept;

    /// In the order given.
    std::span<const ServiceEntry> services() const { return services_; }

  private:
    static constexpr std::uint32_t kNone = 0xffffffff;
    struct SlotV4 {
        std::uint32_t address = 0;
        std::uint32_t rest = 0;
        std::uint32_t service = kNone;
    };
    struct SlotV6 {
        std::array<std::uint8_t, 16> address{};
        std::uint32_t rest = 0;
        std::uint32_t service = kNone;
    };
    static std::uint32_t rest_of(std::uint8_t protocol, std::uint16_t port_be) {
        return std::uint32_t{protocol} << 16 | port_be;
    }

    std::vector<ServiceEntry> services_;
    std::vector<SlotV4> v4_;
    std::vector<SlotV6> v6_;
    std::uint64_t mask_v4_ = 0;
    std::uint64_t mask_v6_ = 0;
};

/// A set of addresses of both families: the VIPs, or the SNAT addresses.
class AddressSet {
  public:
    AddressSet() : AddressSet(std::span<const IpAddress>{}) {}
    /// Repeated addresses are kept once.
    explicit AddressSet(std::span<const IpAddress> addresses);

    bool contains_v4(std::uint32_t address_be) const noexcept {
        for (std::uint64_t i = detail::hash_v4(address_be, 0);; ++i) {
            const SlotV4& slot = v4_[i & mask_v4_];
            if (!slot.used) return false;
            if (slot.address == address_be) return true;
        }
    }
    /// `address` points at 16 bytes.
    bool contains_v6(const std::uint8_t* address) const noexcept {
        for (std::uint64_t i = detail::hash_v6(address, 0);; ++i) {
            const SlotV6& slot = v6_[i & mask_v6_];
            if (!slot.used) return false;
            if (std::memcmp(slot.address.data(), address, 16) == 0) return true;
        }
    }
    bool contains(const IpAddress& address) const noexcept;
    std::size_t size() const { return size_; }

  private:
    struct SlotV4 {
        std::uint32_t address = 0;
        bool used = false;
    };
    struct SlotV6 {
        std::array<std::uint8_t, 16> address{};
        bool used = false;
    };
    std::vector<SlotV4> v4_;
    std::vector<SlotV6> v6_;
    std::uint64_t mask_v4_ = 0;
    std::uint64_t mask_v6_ = 0;
    std::size_t size_ = 0;
};

}  // namespace guideway::balancing
