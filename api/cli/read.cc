// get, describe, events: what there is, once or as it changes.
#include <functional>
#include <set>

#include <nlohmann/json.hpp>

#include "api/cli/commands.h"
#include "api/cli/show.h"
#include "api/cli/table.h"
#include "api/cli/yaml_text.h"
#include "api/client/kind_codec.h"
#include "api/resources/snat_address_codec.h"

namespace guideway::cli {

namespace {

const std::vector<Kind> kShown{Kind::load_balancer, Kind::address_pool, Kind::node,
                               Kind::token,         Kind::event,        Kind::snat_address};
const std::vector<Kind> kDescribed{Kind::load_balancer, Kind::address_pool, Kind::node, Kind::token};

template <class T>
constexpr Kind kind_of() {
    if constexpr (std::is_same_v<T, resources::LoadBalancer>) return Kind::load_balancer;
    if constexpr (std::is_same_v<T, resources::AddressPool>) return Kind::address_pool;
    if constexpr (std::is_same_v<T, resources::Node>) return Kind::node;
    if constexpr (std::is_same_v<T, resources::Token>) return Kind::token;
    return Kind::event;
}

template <class T>
bool of_other_cluster(const T& object) {
    return object.metadata.cluster != resources::kDefaultCluster;
}
bool of_other_cluster(const resources::Event&) { return false; }  // its object's name says it

template <class T>
client::ObjectName name_in(const T& object) {
    return client::name_of(object);
}
client::ObjectName name_in(const resources::Event& event) {
    return {event.regarding.cluster, event.regarding.namespace_, event.regarding.name};
}

/// Objects of a kind as a list that can go on: rows, documents or names.
template <class T>
class Listing {
  public:
    Listing(Session& session, std::function<bool(const T&)> wanted) : session_(session), wanted_(std::move(wanted)) {}

    /// The first part. Documents: those of the list are one each, as changes will be.
    void show(const std::vector<T>& objects, bool going_on) {
        style_ = {session_.options.output == "wide",
                  !session_.options.cluster.empty() && session_.options.cluster != resources::kDefaultCluster};
        std::vector<T> mine;
        for (const T& object : objects) {
            if (!wanted_ || wanted_(object)) mine.push_back(object);
        }
        for (const T& object : mine) style_.clusters = style_.clusters || of_other_cluster(object);
        if (session_.options.output == "name" || session_.wants_data()) {
            for (const T& object : mine) add("ADDED", object);
            return;
        }
        table_.emplace(header_of(static_cast<const T*>(nullptr), style_));
        for (const T& object : mine) table_->add(row_of(object, style_));
        if (!mine.empty() || going_on) table_->print(session_.out());
        if (mine.empty() && !going_on) {
            session_.err() << (kind_of<T>() == Kind::event ? "No events yet.\n" : kNothing);
        }
    }

    void add(const char* type, const T& object) {
        if (wanted_ && !wanted_(object)) return;
        const std::string& output = session_.options.output;
        if (output == "name") {
            session_.out() << title_of(kind_of<T>()) << '/' << text_of(kind_of<T>(), name_in(object)) << '\n';
        } else if (output == "json") {
            // A line a change, as programs read it.
            session_.out() << R"({"type":")" << type << R"(","object":)" << resources::encode(object) << "}\n";
        } else if (output == "yaml") {
            session_.out() << "---\n"
                           << yaml_of(R"({"type":")" + std::string(type) + R"(","object":)" +
                                      resources::encode(object) + "}");
        } else {
            table_->print_row(session_.out(), row_of(object, style_, type == std::string_view("DELETED")));
        }
        session_.out().flush();
    }

  private:
    static constexpr const char* kNothing =
        "Nothing there yet. `guideway apply -f FILE` makes what a file describes.\n";

    Session& session_;
    std::function<bool(const T&)> wanted_;
    TableStyle style_;
    std::optional<Table> table_;
};

template <class T>
int watch_kind(Session& session, const client::Selection& selection, const std::function<bool(const T&)>& wanted) {
    while (true) {
        const auto list = session.client.list<T>(selection);
        if (!list.ok()) return session.failed(list.problem());
        Listing<T> listing(session, wanted);
        listing.show(list.value().items, true);
        session.out().flush();
        std::optional<resources::Problem> unreadable;
        const resources::Problem end = session.client.watch<T>(
            selection, list.value().metadata.resource_version,
            {.on_change =
                 [&](const client::Change& change) {
                     if (change.type != client::ChangeType::bookmark) {
                         const auto object = client::KindCodec<T>::read(change.object);
                         if (!object.ok()) {
                             unreadable = {0, "UnexpectedAnswer",
                                           session.options.server + " sent an object that this version cannot read",
                                           object.faults};
                             return false;
                         }
                         listing.add(change.type == client::ChangeType::added      ? "ADDED"
                                     : change.type == client::ChangeType::modified ? "MODIFIED"
                                                                                   : "DELETED",
                                     *object.value);
                     }
                     return session.out().good();  // false: nobody reads any more
                 },
             .on_trouble =
                 [&](const resources::Problem& problem) {
                     session.err() << "guideway: " << problem.detail << "; trying again\n";
                 }});
        if (unreadable) return session.failed(*unreadable);
        if (end.reason == "Cancelled" && end.status == 0) return kOk;
        if (end.status != 410) return session.failed(end);
        session.err() << "guideway: some changes were missed; everything once more:\n";
    }
}

template <class T>
int get_kind(Session& session) {
    const client::Selection selection = session.selection();
    if (session.options.watch) {
        const client::ObjectName name = session.name;
        if (session.named && client::KindPlace<T>::of_cluster) {
            client::Selection one = selection;
            one.cluster = name.cluster;
            one.namespace_ = name.namespace_;
            return watch_kind<T>(session, one, [name](const T& object) { return object.metadata.name == name.name; });
        }
        return watch_kind<T>(session, selection,
                             session.named ? std::function<bool(const T&)>(
                                                 [name](const T& object) { return object.metadata.name == name.name; })
                                           : nullptr);
    }
    if (session.wants_data()) {
        return session.print_raw(session.named ? client::object_path<T>(session.name)
                                               : client::list_path<T>(selection));
    }
    std::vector<T> objects;
    if (session.named) {
        auto one = session.client.get<T>(session.name);
        if (!one.ok()) return session.failed(one.problem());
        objects.push_back(std::move(one.value()));
    } else {
        auto list = session.client.list<T>(selection);
        if (!list.ok()) return session.failed(list.problem());
        objects = std::move(list.value().items);
    }
    Listing<T>(session, nullptr).show(objects, false);
    return kOk;
}

int get_snat_addresses(Session& session) {
    if (session.wants_data()) return session.print_raw("/v1/snat-addresses");
    const auto addresses = session.client.snat_addresses();
    if (!addresses.ok()) return session.failed(addresses.problem());
    if (session.options.output == "name") {
        for (const auto& one : addresses.value()) session.out() << "snat-address/" << one.address.to_string() << '\n';
    } else {
        show_snat_addresses(session.out(), addresses.value());
    }
    return kOk;
}

/// "LoadBalancer"
std::string kind_word(Kind kind) {
    switch (kind) {
        case Kind::load_balancer:
            return "LoadBalancer";
        case Kind::address_pool:
            return "AddressPool";
        case Kind::node:
            return "Node";
        case Kind::token:
            return "Token";
        case Kind::event:
        case Kind::snat_address:
            break;
    }
    return {};
}

client::Selection events_of(Kind kind, const client::ObjectName& name) {
    client::Selection selection;
    if (kind == Kind::load_balancer || kind == Kind::node) selection.cluster = name.cluster;
    selection.namespace_ = name.namespace_;
    selection.regarding_kind = kind_word(kind);
    selection.regarding_name = name.name;
    return selection;
}

template <class T>
int describe_kind(Session& session) {
    if (session.wants_data()) return session.print_raw(client::object_path<T>(session.name));
    const auto object = session.client.get<T>(session.name);
    if (!object.ok()) return session.failed(object.problem());
    cli::describe(session.out(), object.value());
    // An extra: whoever may not read events has the object all the same.
    const auto events = session.client.list<resources::Event>(events_of(session.kind, session.name));
    if (events.ok()) show_events(session.out(), events.value().items);
    return kOk;
}

}  // namespace

int get(Session& session) {
    if (!session.read_target(kShown, false)) return kUsage;
    return show_kind(session);
}

int show_kind(Session& session) {
    switch (session.kind) {
        case Kind::load_balancer:
            return get_kind<resources::LoadBalancer>(session);
        case Kind::address_pool:
            return get_kind<resources::AddressPool>(session);
        case Kind::node:
            return get_kind<resources::Node>(session);
        case Kind::token:
            if (session.options.watch) return session.misused("tokens cannot be watched; leave -w away");
            return get_kind<resources::Token>(session);
        case Kind::event:
            if (session.named)
                return session.misused("events have no names; `guideway events --for KIND/NAME` selects");
            return events(session);
        case Kind::snat_address:
            break;
    }
    if (session.named || session.options.watch)
        return session.misused("SNAT addresses are listed only: `guideway get snat`");
    return get_snat_addresses(session);
}

int describe(Session& session) {
    if (!session.read_target(kDescribed, true)) return kUsage;
    switch (session.kind) {
        case Kind::load_balancer:
            return describe_kind<resources::LoadBalancer>(session);
        case Kind::address_pool:
            return describe_kind<resources::AddressPool>(session);
        case Kind::node:
            return describe_kind<resources::Node>(session);
        default:
            return describe_kind<resources::Token>(session);
    }
}

int events(Session& session) {
    client::Selection selection = session.selection();
    selection.labels.clear();
    if (!session.options.regarding.empty()) {
        const std::string& text = session.options.regarding;
        const auto slash = text.find('/');
        const auto kind = parse_kind(text.substr(0, slash));
        if (!kind || kind_word(*kind).empty() || slash == std::string::npos) {
            return session.wrong("--for", text, "KIND/NAME of " + kinds_text(kDescribed) + ", such as lb/shop/web");
        }
        const NameOrError name = parse_name(*kind, text.substr(slash + 1), session.options.cluster, session.options.ns);
        if (!name.error.empty()) return session.misused("--for: " + name.error);
        selection = events_of(*kind, name.name);
    }
    const std::function<bool(const resources::Event&)> wanted =
        session.options.warnings ? [](const resources::Event& event) { return event.warning; }
                                 : std::function<bool(const resources::Event&)>();
    if (session.options.watch) return watch_kind<resources::Event>(session, selection, wanted);
    auto list = session.client.list<resources::Event>(selection);
    if (!list.ok()) return session.failed(list.problem());
    if (wanted) std::erase_if(list.value().items, [&](const auto& event) { return !wanted(event); });
    if (session.print_data(resources::encode(list.value()))) return kOk;
    Listing<resources::Event>(session, nullptr).show(list.value().items, false);
    return kOk;
}

}  // namespace guideway::cli
