// apply, delete, drain, undrain.
#include <charconv>
#include <optional>
#include <variant>

#include <nlohmann/json.hpp>

#include "api/cli/commands.h"
#include "api/cli/documents.h"
#include "api/cli/show.h"
#include "api/cli/text.h"
#include "api/client/kind_codec.h"
#include "api/resources/decode_limits.h"

namespace guideway::cli {

namespace {

Kind kind_of(const resources::LoadBalancer&) { return Kind::load_balancer; }
Kind kind_of(const resources::AddressPool&) { return Kind::address_pool; }
Kind kind_of(const resources::Node&) { return Kind::node; }

template <class T>
std::string title(const T& object) {
    return title_of(kind_of(object)) + " " + text_of(kind_of(object), client::name_of(object));
}
template <class T>
std::string name_line(const T& object) {
    return title_of(kind_of(object)) + "/" + text_of(kind_of(object), client::name_of(object)) + "\n";
}

std::string extra(const resources::LoadBalancer& object) { return " (" + outcome_text(object) + ")"; }
std::string extra(const resources::AddressPool&) { return {}; }
std::string extra(const resources::Node& object) { return object.spec.drain ? " (draining)" : ""; }

std::optional<Documents> read_documents_of(const Session& session) {
    std::string text;
    if (!read_text(session, session.options.file, text)) return std::nullopt;
    Documents documents = read_documents(text, session.options.file == "-" ? "standard input" : session.options.file,
                                         {session.default_namespace(), session.options.cluster});
    for (const std::string& error : documents.errors) session.err() << "guideway: " << error << '\n';
    if (!documents.errors.empty()) {
        session.err() << "guideway: nothing was changed\n";
        return std::nullopt;
    }
    return documents;
}

template <class T>
bool is_same(const T& before, const T& now) {
    return before.spec == now.spec && before.metadata.labels == now.metadata.labels &&
           before.metadata.uid == now.metadata.uid;
}

/// Applies one document after the other and keeps what -o wants to print at the end.
class Applier {
  public:
    explicit Applier(Session& session) : session_(session) {}

    template <class T>
    int apply(const T& object) {
        const auto before = session_.client.get<T>(client::name_of(object));
        if (!before.ok() && before.problem().status != 404) return session_.failed(before.problem());
        if (session_.options.dry_run) return would_apply(object, before);
        const auto put = session_.client.ensure(object);
        if (!put.ok()) {
            session_.err() << title(object) << " refused\n";
            return session_.failed(put.problem());
        }
        const T& now = put.value().object;
        const bool same = before.ok() && is_same(before.value(), now);
        tell(now, put.value().created ? " created" : same ? " unchanged" : " configured", extra(now));
        return kOk;
    }

    int finish(int code) const {
        if (!documents_.empty()) session_.print_data(documents_);
        return code;
    }

  private:
    template <class T>
    int would_apply(const T& object, const client::Result<T>& before) {
        const char* what = !before.ok()                      ? " would be created"
                           : is_same(before.value(), object) ? " would be unchanged"
                                                             : " would be configured";
        if constexpr (std::is_same_v<T, resources::LoadBalancer>) {
            const auto preview = session_.client.preview(object);
            if (!preview.ok()) return session_.failed(preview.problem());
            if (session_.wants_data()) {
                documents_.push_back(resources::encode(preview.value()));
            } else if (session_.options.output == "name") {
                session_.out() << name_line(object);
            } else {
                session_.out() << title(object) << what << " (dry run)\n";
                show_preview(session_.out(), "  It", preview.value());
                if (new_pools_) session_.out() << "  (without the pools of this file that are not there yet)\n";
            }
            return preview.value().reason == "Allocated" ? kOk : kFailed;
        }
        new_pools_ = new_pools_ || (std::is_same_v<T, resources::AddressPool> && !before.ok());
        tell(object, std::string(what) + " (dry run)", "");
        return kOk;
    }

    template <class T>
    void tell(const T& object, const std::string& what, const std::string& more) {
        if (session_.wants_data()) {
            documents_.push_back(resources::encode(object));
        } else if (session_.options.output == "name") {
            session_.out() << name_line(object);
        } else {
            session_.out() << title(object) << what << more << '\n';
        }
    }

    Session& session_;
    std::vector<std::string> documents_;
    bool new_pools_ = false;  ///< of a dry run: pools that a real one would make first
};

std::optional<std::chrono::seconds> wait_time(const Session& session) {
    const std::string& text = session.options.wait;
    if (text.empty()) return std::nullopt;
    unsigned seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error == std::errc{} && end == text.data() + text.size() && seconds >= 1 && seconds <= 60) {
        return std::chrono::seconds(seconds);
    }
    session.wrong("--wait", text, "1..60 (seconds)");
    return std::nullopt;
}

int wait_until_forwarding(Session& session, std::chrono::seconds time) {
    const auto status = session.client.status(time);
    if (!status.ok()) return session.failed(status.problem());
    if (is_forwarding(status.value())) {
        // What programs read is the objects alone.
        if (!session.wants_data() && session.options.output != "name") {
            session.out() << "in force (generation " << status.value().forwarding_generation << ")\n";
        }
        return kOk;
    }
    session.err() << "guideway: saved, but not in force after " << time.count() << " s: "
                  << (status.value().dataplane_error.empty() ? "the dataplane is not connected or behind"
                                                             : status.value().dataplane_error)
                  << "; see `guideway status`\n";
    return kFailed;
}

/// Deleting a pool takes away what it gave: nobody should learn that from their clients.
std::string after_deletion(const resources::AddressPool& pool) {
    const std::uint64_t used = pool.status.ipv4.allocated + pool.status.ipv6.allocated;
    if (used == 0) return {};
    return "; " + count_text(used) + (used == 1 ? " address of it was in use" : " addresses of it were in use") +
           ", see `guideway get lb`";
}
template <class T>
std::string after_deletion(const T&) {
    return {};
}

class Remover {
  public:
    explicit Remover(Session& session) : session_(session) {}

    template <class T>
    int remove(const client::ObjectName& name) {
        // The API's DELETE is idempotent; a person who mistyped a name wants to hear of it.
        const auto found = session_.client.get<T>(name);
        if (!found.ok()) return session_.failed(found.problem());
        client::Condition condition;
        // The API asks who deletes a pool in use to have seen it.
        if constexpr (std::is_same_v<T, resources::AddressPool>) {
            condition.version = found.value().metadata.resource_version;
        }
        const auto done = session_.client.remove<T>(name, condition);
        if (!done.ok()) return session_.failed(done.problem());
        if (session_.wants_data()) {
            documents_.push_back(resources::encode(found.value()));
        } else if (session_.options.output == "name") {
            session_.out() << name_line(found.value());
        } else {
            session_.out() << title(found.value()) << " deleted" << after_deletion(found.value()) << '\n';
        }
        return kOk;
    }

    int finish(int code) const {
        if (!documents_.empty()) session_.print_data(documents_);
        return code;
    }

  private:
    Session& session_;
    std::vector<std::string> documents_;
};

int set_drain(Session& session, bool wanted) {
    constexpr int kTries = 5;
    std::optional<std::uint32_t> timeout;
    if (const std::string& text = session.options.drain_timeout; !text.empty()) {
        const auto seconds = text == "never" ? std::optional<std::uint64_t>(0) : parse_duration(text);
        if (!seconds || *seconds > resources::kMaxDrainTimeout) {
            return session.wrong("--timeout", text, "never, or a time up to a week: 90s, 15m, 2h, 7d");
        }
        timeout = static_cast<std::uint32_t>(*seconds);
    }
    NameOrError parsed = parse_name(Kind::node, session.options.name, session.options.cluster, {});
    if (!parsed.error.empty()) return session.misused(parsed.error);
    const std::string shown = "node " + text_of(Kind::node, parsed.name);
    for (int i = 1;; ++i) {
        auto node = session.client.get<resources::Node>(parsed.name);
        if (!node.ok()) return session.failed(node.problem());
        const bool already =
            node.value().spec.drain == wanted && (!timeout || node.value().spec.drain_timeout_seconds == *timeout);
        std::string text = wanted ? " is draining already\n" : " is not draining\n";
        if (!already) {
            node.value().spec.drain = wanted;
            if (timeout) node.value().spec.drain_timeout_seconds = *timeout;
            const auto put = session.client.ensure(node.value(), {.version = node.value().metadata.resource_version});
            // Somebody else changed the node in between: their change is kept, ours is made on top of it.
            if (!put.ok() && put.problem().status == 412 && i < kTries) continue;
            if (!put.ok()) return session.failed(put.problem());
            node = put.value().object;
            const std::uint32_t seconds = node.value().spec.drain_timeout_seconds;
            const std::string goes_on = seconds == 0 ? "\n" : " for " + duration_text(seconds) + " at most\n";
            text =
                wanted ? " draining: no new connections, old ones go on" + goes_on : " takes new connections again\n";
        }
        if (session.print_data(resources::encode(node.value()))) return kOk;
        session.out() << (session.options.output == "name" ? name_line(node.value()) : shown + text);
        return kOk;
    }
}

}  // namespace

int apply_documents(Session& session, const std::vector<Document>& documents) {
    const std::optional<std::chrono::seconds> wait = wait_time(session);
    if (!session.options.wait.empty() && !wait) return kUsage;
    Applier applier(session);
    int code = kOk;
    for (const Document& document : documents) {
        const int result = std::visit([&](const auto& object) { return applier.apply(object); }, document);
        if (result == kUnreachable) return applier.finish(result);
        if (result != kOk) code = result;
    }
    applier.finish(code);
    if (code != kOk || !wait || session.options.dry_run) return code;
    return wait_until_forwarding(session, *wait);
}

int apply(Session& session) {
    // A wrong option is told before a wrong file.
    if (!session.options.wait.empty() && !wait_time(session)) return kUsage;
    const std::optional<Documents> documents = read_documents_of(session);
    if (!documents) return kFailed;
    return apply_documents(session, documents->documents);
}

int remove(Session& session) {
    Remover remover(session);
    const auto remove_one = [&](Kind kind, const client::ObjectName& name) {
        if (kind == Kind::load_balancer) return remover.remove<resources::LoadBalancer>(name);
        if (kind == Kind::address_pool) return remover.remove<resources::AddressPool>(name);
        return remover.remove<resources::Node>(name);
    };
    if (session.options.file.empty()) {
        if (!session.read_target({Kind::load_balancer, Kind::address_pool, Kind::node, Kind::token}, true)) {
            return kUsage;
        }
        if (session.kind == Kind::token) return delete_token(session);
        return remover.finish(remove_one(session.kind, session.name));
    }
    const std::optional<Documents> documents = read_documents_of(session);
    if (!documents) return kFailed;
    int code = kOk;
    // Backwards: what was made last leans on what was made first.
    for (auto one = documents->documents.rbegin(); one != documents->documents.rend(); ++one) {
        const int result =
            std::visit([&](const auto& object) { return remove_one(kind_of(object), client::name_of(object)); }, *one);
        if (result == kUnreachable) return remover.finish(result);
        if (result != kOk && result != kNotFound) code = result;
    }
    return remover.finish(code);
}

int drain(Session& session) { return set_drain(session, true); }
int undrain(Session& session) { return set_drain(session, false); }

}  // namespace guideway::cli
