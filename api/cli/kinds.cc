#include "api/cli/kinds.h"

#include <algorithm>
#include <array>

#include "api/resources/names.h"

namespace guideway::cli {

namespace {

struct KindName {
    Kind kind;
    std::string_view one, many, brief;
};

constexpr std::array<KindName, 6> kNames{{
    {Kind::load_balancer, "load-balancer", "load-balancers", "lb"},
    {Kind::address_pool, "address-pool", "address-pools", "pool"},
    {Kind::node, "node", "nodes", "node"},
    {Kind::token, "token", "tokens", "token"},
    {Kind::event, "event", "events", "event"},
    {Kind::snat_address, "snat-address", "snat-addresses", "snat"},
}};

const KindName& names_of(Kind kind) {
    return *std::find_if(kNames.begin(), kNames.end(), [kind](const KindName& one) { return one.kind == kind; });
}

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> parts(1);
    for (const char c : text) {
        if (c == '/') {
            parts.emplace_back();
        } else {
            parts.back() += c;
        }
    }
    return parts;
}

}  // namespace

std::optional<Kind> parse_kind(std::string_view text) {
    for (const KindName& one : kNames) {
        if (text == one.one || text == one.many || text == one.brief) return one.kind;
        if (text.size() == one.brief.size() + 1 && text.ends_with('s') && text.starts_with(one.brief)) return one.kind;
    }
    return std::nullopt;
}

std::string title_of(Kind kind) { return std::string(names_of(kind).one); }

std::string kinds_text(const std::vector<Kind>& allowed) {
    std::string out;
    for (const Kind kind : allowed) {
        const KindName& names = names_of(kind);
        out += (out.empty() ? "" : ", ") + std::string(names.many);
        if (names.brief != names.one) out += " (" + std::string(names.brief) + ")";
    }
    return out;
}

std::string text_of(Kind kind, const client::ObjectName& name) {
    const bool clustered = kind == Kind::load_balancer || kind == Kind::node;
    return (clustered && name.cluster != resources::kDefaultCluster ? name.cluster + "/" : std::string()) +
           (kind == Kind::load_balancer ? name.namespace_ + "/" : std::string()) + name.name;
}

NameOrError parse_name(Kind kind, const std::string& text, const std::string& cluster, const std::string& ns) {
    const bool namespaced = kind == Kind::load_balancer;
    const bool clustered = namespaced || kind == Kind::node;
    const char* form = namespaced  ? "NAME, NAMESPACE/NAME or CLUSTER/NAMESPACE/NAME"
                       : clustered ? "NAME or CLUSTER/NAME"
                                   : "NAME";
    NameOrError out;
    const auto refused = [&](std::string error) {
        out.error = std::move(error);
        return out;
    };
    const std::vector<std::string> parts = split(text);
    const std::size_t most = namespaced ? 3 : clustered ? 2 : 1;
    out.name.name = parts.back();
    if (namespaced) out.name.namespace_ = parts.size() >= 2 ? parts[parts.size() - 2] : ns.empty() ? "default" : ns;
    const bool names_cluster = clustered && parts.size() == most;
    if (clustered)
        out.name.cluster = names_cluster ? parts.front() : cluster.empty() ? resources::kDefaultCluster : cluster;
    if (parts.size() > most || !resources::is_name(out.name.name) ||
        (namespaced && !resources::is_label(out.name.namespace_)) ||
        (clustered && !resources::is_label(out.name.cluster))) {
        return refused("found the name \"" + text + "\", allowed " + form +
                       " of lower-case letters, digits, '-' and '.'");
    }
    if (namespaced && parts.size() >= 2 && !ns.empty() && ns != out.name.namespace_) {
        return refused("found two namespaces, \"" + out.name.namespace_ + "\" and \"" + ns + "\", allowed one");
    }
    if (names_cluster && !cluster.empty() && cluster != out.name.cluster) {
        return refused("found two clusters, \"" + out.name.cluster + "\" and \"" + cluster + "\", allowed one");
    }
    return out;
}

}  // namespace guideway::cli
