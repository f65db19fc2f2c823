// Tokens: who may use the REST API. The token book has those in force; the store has them durable.
#include <algorithm>
#include <utility>

#include "api/resources/token_codec.h"
#include "controlplane/manager.h"
#include "controlplane/manager_support.h"
#include "controlplane/manager_writing.h"
#include "controlplane/timestamps.h"

namespace guideway::controlplane {

using rest::Ensured;
using rest::Result;
using Step = CommitQueue::Step;

namespace {

resources::Token shown(const auth::TokenRecord& record, std::string text = {}) {
    resources::Token token;
    token.metadata = record.metadata;
    token.spec.role = to_string(record.spec.role);
    token.spec.cluster = record.spec.cluster;
    if (record.spec.expires_at) token.spec.expires_at = timestamp_of(*record.spec.expires_at);
    for (const auth::TokenSecret& secret : record.secrets) {
        token.status.secrets.push_back({secret.id, timestamp_of(secret.created),
                                        secret.last_used ? timestamp_of(*secret.last_used) : std::string()});
    }
    token.status.token = std::move(text);
    return token;
}

/// The wish in the book's terms; the codec has seen to its form.
auth::TokenSpec spec_of(const resources::TokenSpec& wanted) {
    auth::TokenSpec spec;
    spec.role = rest::parse_role(wanted.role).value_or(rest::Role::viewer);
    spec.cluster = wanted.cluster;
    if (!wanted.expires_at.empty()) spec.expires_at = time_of(wanted.expires_at);
    return spec;
}

}  // namespace

Result<Ensured<resources::Token>> Manager::ensure(resources::Token wanted, const rest::Intent& intent) {
    const std::string name = wanted.metadata.name;
    std::optional<Result<Ensured<resources::Token>>> answer;
    bool created = false;
    std::string text;
    const auto prepare = [&] {
        if (staged_.alone || staged_.tokens.contains(name)) return Step::deferred;
        const std::optional<auth::TokenRecord> before = tokens_.find(name);
        created = !before;
        if (auto problem = refuse_precondition(before ? &before->metadata : nullptr, intent.precondition)) {
            answer = std::move(*problem);
            return Step::finished;
        }
        const auth::TokenSpec spec = spec_of(wanted.spec);
        if (std::string fault = auth::fault_of(spec); !fault.empty()) {
            answer = resources::Problem{400, "InvalidRequest", fault, {{"/spec/cluster", fault}}};
            return Step::finished;
        }
        if (before && before->spec == spec && before->metadata.labels == wanted.metadata.labels) {
            answer = Ensured<resources::Token>{shown(*before), false, false};
            return Step::finished;
        }
        if (auto problem = refuse_lockout(name, spec.role == rest::Role::admin && !spec.expires_at)) {
            answer = std::move(*problem);
            return Step::finished;
        }
        auth::TokenRecord record;
        if (before) {
            record = *before;
        } else {
            auth::Issued issued = tokens_.create(name, spec, options_.now());
            record = std::move(issued.record);
            text = std::move(issued.text);
        }
        const resources::Token old = before ? shown(*before) : resources::Token();
        record.spec = spec;
        stamp(wanted, before ? &old : nullptr);
        record.metadata = wanted.metadata;
        audit(intent, created ? "create" : "update", auth::kTokenKind, name, before ? &old : nullptr, &wanted);
        staged_.tokens.emplace(name, std::move(record));
        return Step::staged;
    };
    const auto settle = [&](const CommitQueue::Failure& failure) {
        if (failure) {
            answer = *failure;
        } else {
            answer = Ensured<resources::Token>{shown(*tokens_.find(name), text), created, true};
        }
    };
    queue_.submit({prepare, settle});
    return *std::move(answer);
}

std::optional<resources::Problem> Manager::refuse_lockout(const std::string& name, bool stays_admin) const {
    if (stays_admin) return std::nullopt;
    bool was_admin = false;
    for (const auth::TokenRecord& record : tokens_.all()) {
        const bool admin = record.spec.role == rest::Role::admin && !record.spec.expires_at;
        if (record.metadata.name == name) was_admin = admin;
        if (admin && record.metadata.name != name) return std::nullopt;
    }
    if (!was_admin) return std::nullopt;
    return resources::Problem{409,
                              "LastAdmin",
                              "\"" + name +
                                  "\" is the last token of the role admin that does not expire; without it nobody "
                                  "could administer this appliance: make another one first",
                              {}};
}

Result<resources::Token> Manager::token(const std::string& name) {
    const std::optional<auth::TokenRecord> record = tokens_.find(name);
    if (!record) return not_found("token", name);
    return shown(*record);
}

Result<rest::Page<resources::Token>> Manager::tokens(const rest::PageRequest& request) {
    std::map<std::string, resources::Token> all;
    for (const auth::TokenRecord& record : tokens_.all()) all.emplace(record.metadata.name, shown(record));
    const std::shared_lock lock(mutex_);
    return page_of<resources::Token>(
        all, request, revision_, [](const resources::Token& token) -> const auto& { return token.metadata; },
        [](const resources::Token& token) { return token; }, [](const std::string& name) { return name; });
}

Result<bool> Manager::delete_token(const std::string& name, const rest::Intent& intent) {
    std::optional<Result<bool>> answer;
    const auto prepare = [&] {
        if (staged_.alone || staged_.tokens.contains(name)) return Step::deferred;
        const std::optional<auth::TokenRecord> before = tokens_.find(name);
        if (auto problem = refuse_precondition(before ? &before->metadata : nullptr, intent.precondition)) {
            answer = std::move(*problem);
            return Step::finished;
        }
        if (!before) {
            answer = false;
            return Step::finished;
        }
        if (auto problem = refuse_lockout(name, false)) {
            answer = std::move(*problem);
            return Step::finished;
        }
        const resources::Token old = shown(*before);
        audit<resources::Token>(intent, "delete", auth::kTokenKind, name, &old, nullptr);
        staged_.tokens.emplace(name, std::nullopt);
        return Step::staged;
    };
    const auto settle = [&](const CommitQueue::Failure& failure) {
        answer = failure ? Result<bool>(*failure) : Result<bool>(true);
    };
    queue_.submit({prepare, settle});
    return *std::move(answer);
}

Result<resources::Token> Manager::rotate_token(const std::string& name, const rest::Intent& intent) {
    std::optional<Result<resources::Token>> answer;
    std::string text;
    const auto prepare = [&] {
        if (staged_.alone || staged_.tokens.contains(name)) return Step::deferred;
        const std::optional<auth::TokenRecord> before = tokens_.find(name);
        if (!before) {
            answer = not_found("token", name);
            return Step::finished;
        }
        if (auto problem = refuse_precondition(&before->metadata, intent.precondition)) {
            answer = std::move(*problem);
            return Step::finished;
        }
        auth::Issued issued = tokens_.rotate(*before, options_.now());
        text = std::move(issued.text);
        const resources::Token old = shown(*before);
        const resources::Token now = shown(issued.record);
        audit(intent, "rotate", auth::kTokenKind, name, &old, &now);
        staged_.tokens.emplace(name, std::move(issued.record));
        return Step::staged;
    };
    const auto settle = [&](const CommitQueue::Failure& failure) {
        if (failure) {
            answer = *failure;
        } else {
            answer = shown(*tokens_.find(name), text);
        }
    };
    queue_.submit({prepare, settle});
    return *std::move(answer);
}

std::string Manager::put_token_record(const auth::TokenRecord& record) {
    std::string error;
    queue_.submit({[&] {
                       if (!staged_.empty()) return Step::deferred;
                       auth::TokenRecord made = record;
                       made.metadata.generation = 1;
                       made.metadata.creation_timestamp = timestamp();
                       staged_.tokens.emplace(made.metadata.name, std::move(made));
                       return Step::staged;
                   },
                   [&](const CommitQueue::Failure& failure) {
                       if (failure) error = failure->detail;
                   }});
    return error;
}

void Manager::save_token_uses() {
    queue_.submit({[&] {
                       if (!staged_.empty()) return Step::deferred;
                       for (const std::string& name : tokens_.unsaved_uses()) {
                           if (auto record = tokens_.find(name)) staged_.tokens.emplace(name, std::move(*record));
                       }
                       return staged_.tokens.empty() ? Step::finished : Step::staged;
                   },
                   [](const CommitQueue::Failure&) {}});
}

}  // namespace guideway::controlplane
