// How single values look to people. Thread contract: pure functions (ages look at the clock).
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "api/contract/ip_address.h"

namespace guideway::cli {

std::string joined(const std::vector<std::string>& parts, const char* separator = ", ");
std::vector<std::string> texts_of(const std::vector<IpAddress>& addresses);
std::string yes_no(bool value);
/// "12s", "5m", "3h", "9d".
std::string duration_text(std::uint64_t seconds);
/// Since an RFC 3339 time; empty: none.
std::string age_text(const std::string& timestamp);
/// Until an RFC 3339 time: "in 9d", "3h ago"; empty: none.
std::string until_text(const std::string& timestamp);
/// "192.0.2.1:80", "[2001:db8::1]:80"; port 0: none.
std::string endpoint(const IpAddress& address, std::uint16_t port);
/// "1,234,567"; what the API saturates at: "huge".
std::string count_text(std::uint64_t count);
/// "[####......]": `part` of `whole`, in `width` places; something is never shown as nothing, nor less than all as all.
std::string bar_text(std::uint64_t part, std::uint64_t whole, std::size_t width = 30);
/// Without control characters: what others wrote (labels, messages) must not speak to the reader's terminal.
std::string printable(std::string text);
/// "Name:             value"
void line(std::ostream& out, const std::string& name, const std::string& value);

}  // namespace guideway::cli
