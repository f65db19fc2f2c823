#include "controlplane/kubernetes/annotations.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "api/resources/decode_limits.h"
#include "api/resources/names.h"

namespace guideway::kubernetes {
namespace {

using contract::Fault;
using Texts = std::map<std::string, std::string>;

constexpr std::array<std::string_view, 2> kTheirPrefixes{"metallb.io/", "metallb.universe.tf/"};

std::string in_quotes(std::string_view text) { return "\"" + std::string(text) + "\""; }

struct Found {
    std::string name;  ///< of the annotation; empty: none
    std::string value;
};

/// Ours, else MetalLB's under either prefix.
Found find(const Texts& annotations, const std::string& ours, std::string_view theirs, Asked& asked,
           std::vector<Fault>& faults) {
    Found other;
    for (const std::string_view prefix : kTheirPrefixes) {
        const auto found = annotations.find(std::string(prefix) + std::string(theirs));
        if (found == annotations.end()) continue;
        const std::string value(trimmed(found->second));
        if (!other.name.empty() && other.value != value && !annotations.contains(ours)) {
            faults.push_back({found->first, "found " + in_quotes(value) + " while " + other.name + " is " +
                                                in_quotes(other.value) + ", allowed the same in both, or one of them"});
        }
        if (other.name.empty()) other = {found->first, value};
    }
    const auto own = annotations.find(ours);
    if (own == annotations.end()) return other;
    Found out{ours, std::string(trimmed(own->second))};
    if (!other.name.empty() && other.value != out.value) {
        asked.notes.push_back(ours + " (" + in_quotes(out.value) + ") counts, and " + other.name + " (" +
                              in_quotes(other.value) + ") does not: remove one of them");
    }
    return out;
}

void read_addresses(const Found& found, Asked& asked, std::vector<Fault>& faults) {
    for (const std::string& text : split_list(found.value)) {
        const auto address = IpAddress::parse(text);
        if (!address) {
            faults.push_back({found.name, "found " + in_quotes(text) + ", allowed IPv4 and IPv6 addresses"});
            continue;
        }
        const bool again = std::any_of(asked.addresses.begin(), asked.addresses.end(),
                                       [&](const IpAddress& one) { return one.family == address->family; });
        if (again) {
            faults.push_back({found.name, "found a second address of " + std::string(to_string(address->family)) +
                                              ", allowed one of each family"});
            continue;
        }
        asked.addresses.push_back(*address);
    }
    if (asked.addresses.empty() && faults.empty()) {
        faults.push_back({found.name, "found " + in_quotes(found.value) + ", allowed IPv4 and IPv6 addresses"});
    }
}

/// guideway.io/limit-*: a number of 1 to the appliance's largest.
void read_limit(const Texts& annotations, const char* name, std::uint32_t& limit, std::vector<Fault>& faults) {
    const auto found = annotations.find(name);
    if (found == annotations.end()) return;
    const std::string_view text = trimmed(found->second);
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && value != 0 && value <= resources::kMaxPerSecond) {
        limit = value;
    } else {
        faults.push_back({name, "found " + in_quotes(found->second) + ", allowed a number of 1 to " +
                                    std::to_string(resources::kMaxPerSecond)});
    }
}

void read_guards(const Texts& annotations, Asked& asked, std::vector<Fault>& faults) {
    if (const auto silent = annotations.find("guideway.io/silent"); silent != annotations.end()) {
        const std::string_view value = trimmed(silent->second);
        asked.silent = value == "true";
        if (!asked.silent && value != "false")
            faults.push_back({silent->first, "found " + in_quotes(value) + ", allowed true or false"});
    }
    read_limit(annotations, "guideway.io/limit-new-connections", asked.limits.new_connections_per_second, faults);
    read_limit(annotations, "guideway.io/limit-new-connections-per-source",
               asked.limits.new_connections_per_second_per_source, faults);
    read_limit(annotations, "guideway.io/limit-packets", asked.limits.packets_per_second, faults);
}

}  // namespace

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r\n";
    const std::size_t first = text.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        if (const std::string_view part = trimmed(text.substr(0, comma)); !part.empty()) out.emplace_back(part);
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return out;
}

std::optional<std::uint32_t> parse_duration(std::string_view text) {
    std::uint64_t sum = 0;
    bool bare = false;
    if (text.empty()) return std::nullopt;
    while (!text.empty()) {
        std::uint32_t number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error != std::errc() || bare) return std::nullopt;
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        std::uint64_t unit = 1;
        if (text.empty()) {
            if (sum != 0) return std::nullopt;  // "1h30": of what?
            bare = true;
        } else if (text.front() == 'h') {
            unit = 3600;
        } else if (text.front() == 'm') {
            unit = 60;
        } else if (text.front() != 's') {
            return std::nullopt;
        }
        sum += number * unit;
        if (!text.empty()) text.remove_prefix(1);
    }
    if (sum == 0 || sum > resources::kMaxIdleTimeout) return std::nullopt;
    return static_cast<std::uint32_t>(sum);
}

Asked read_annotations(const Texts& annotations, std::vector<Fault>& faults) {
    Asked asked;
    if (const Found pool = find(annotations, "guideway.io/address-pool", "address-pool", asked, faults);
        !pool.name.empty()) {
        asked.address_pool = pool.value;
        if (!resources::is_name(pool.value)) {
            faults.push_back({pool.name, "found " + in_quotes(pool.value) + ", allowed the name of an address pool"});
        }
    }
    if (const Found ips = find(annotations, "guideway.io/load-balancer-ips", "loadBalancerIPs", asked, faults);
        !ips.name.empty()) {
        read_addresses(ips, asked, faults);
    }
    if (const Found key = find(annotations, "guideway.io/sharing-key", "allow-shared-ip", asked, faults);
        !key.name.empty()) {
        asked.sharing_key = key.value;
        if (key.value.size() > 253) {
            faults.push_back({key.name, "found " + std::to_string(key.value.size()) + " bytes, allowed at most 253"});
        }
    }
    if (const auto mode = annotations.find("guideway.io/mode"); mode != annotations.end()) {
        const std::string_view value = trimmed(mode->second);
        if (value == "pod") {
            asked.mode = resources::ForwardingMode::pod;
        } else if (value != "nat") {
            faults.push_back({mode->first, "found " + in_quotes(value) + ", allowed nat or pod"});
        }
    }
    if (const auto idle = annotations.find("guideway.io/idle-timeout"); idle != annotations.end()) {
        const auto seconds = parse_duration(trimmed(idle->second));
        if (!seconds) {
            faults.push_back({idle->first, "found " + in_quotes(idle->second) +
                                               ", allowed a time of 1 s to 7 days: \"30m\", \"1h30m\", \"3600\""});
        }
        asked.idle_timeout_seconds = seconds.value_or(0);
    }
    read_guards(annotations, asked, faults);
    if (const auto proxy = annotations.find("guideway.io/proxy-protocol"); proxy != annotations.end()) {
        const std::string_view value = trimmed(proxy->second);
        if (value != "false" && value != "none" && !value.empty()) {
            asked.notes.push_back(
                "guideway.io/proxy-protocol is not served by this version: connections carry no PROXY header");
        }
    }
    return asked;
}

}  // namespace guideway::kubernetes
