// A netlink message as the kernel sends it: header, body, attributes. For tests of what reads them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string>
#include <vector>

#include "api/contract/ip_address.h"
#include "dataplane/net/kernel_tables.h"

namespace guideway::net {

class KernelMessage {
  public:
    template <class Body>
    KernelMessage(std::uint16_t type, const Body& body, std::uint16_t flags = 0) : bytes_(NLMSG_LENGTH(sizeof body)) {
        nlmsghdr header{};
        header.nlmsg_type = type;
        header.nlmsg_flags = flags;
        std::memcpy(bytes_.data(), &header, sizeof header);
        std::memcpy(bytes_.data() + NLMSG_LENGTH(0), &body, sizeof body);
    }
    KernelMessage& with(std::uint16_t type, const void* data, std::size_t size) {
        bytes_.resize(NLMSG_ALIGN(bytes_.size()));
        const rtattr head{static_cast<std::uint16_t>(RTA_LENGTH(size)), type};
        const auto* start = reinterpret_cast<const std::uint8_t*>(&head);
        bytes_.insert(bytes_.end(), start, start + sizeof head);
        const auto* content = static_cast<const std::uint8_t*>(data);
        bytes_.insert(bytes_.end(), content, content + size);
        return *this;
    }
    KernelMessage& with(std::uint16_t type, const IpAddress& address) {
        return with(type, address.bytes.data(), address.bits() / 8);
    }
    KernelMessage& with(std::uint16_t type, std::uint32_t value) { return with(type, &value, sizeof value); }
    KernelMessage& with(std::uint16_t type, const snapshot::MacAddress& mac) {
        return with(type, mac.data(), mac.size());
    }
    KernelMessage& with(std::uint16_t type, const std::string& text) {
        return with(type, text.c_str(), text.size() + 1);
    }
    void flags(std::uint16_t flags) {
        std::memcpy(bytes_.data() + offsetof(nlmsghdr, nlmsg_flags), &flags, sizeof flags);
    }
    const std::vector<std::uint8_t>& bytes() const { return bytes_; }
    /// As long as `length` says; valid until the next call.
    const nlmsghdr& message(std::size_t length) {
        const auto size = static_cast<std::uint32_t>(length);
        std::memcpy(bytes_.data(), &size, sizeof size);
        aligned_.resize(bytes_.size() / sizeof(nlmsghdr) + 1);
        std::memcpy(aligned_.data(), bytes_.data(), bytes_.size());
        return aligned_.front();
    }
    const nlmsghdr& message() { return message(bytes_.size()); }
    void send(KernelTables& tables, std::size_t length) { tables.apply(message(length)); }
    void send(KernelTables& tables) { tables.apply(message()); }

  private:
    std::vector<std::uint8_t> bytes_;
    std::vector<nlmsghdr> aligned_;
};

}  // namespace guideway::net
