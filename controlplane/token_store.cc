#include "controlplane/token_store.h"

#include <utility>

#include <spdlog/spdlog.h>

#include "controlplane/auth/admin_token.h"

namespace guideway::controlplane {
namespace {

struct Loaded {
    store::Contents contents;
    std::string error;
};

Loaded load(store::Store& store, auth::TokenBook& book) {
    Loaded loaded;
    if (const auto error = store.load(loaded.contents)) {
        loaded.error = error->message;
        return loaded;
    }
    std::vector<auth::TokenRecord> records;
    for (const store::Record& one : loaded.contents.records) {
        if (one.kind != auth::kTokenKind) continue;
        auto decoded = auth::decode_token(one.document);
        // Going on without it would lock somebody out, or make a second "admin" beside one that cannot be read.
        if (!decoded.ok()) {
            loaded.error = "the store's record token " + one.key + " cannot be read: " + decoded.faults[0].field + " " +
                           decoded.faults[0].message + "; restore a backup, or run the version that wrote it";
            return loaded;
        }
        records.push_back(*std::move(decoded.value));
    }
    book.replace_all(std::move(records));
    return loaded;
}

std::string commit(store::Store& store, const store::Contents& before, auth::TokenBook& book,
                   auth::TokenRecord record) {
    store::Batch batch;
    batch.after_revision = before.revision;
    batch.revision = before.revision + 1;
    batch.generation = before.generation;
    record.metadata.resource_version = batch.revision;
    record.metadata.generation += 1;
    store::Change change;
    change.kind = auth::kTokenKind;
    change.key = record.metadata.name;
    change.document = auth::encode(record);
    batch.changes.push_back(std::move(change));
    if (const auto error = store.commit(batch)) return error->message;
    book.put_record(std::move(record));
    return {};
}

}  // namespace

std::string open_tokens(store::Store& store, auth::TokenBook& book, const std::string& admin_token_file,
                        auth::Time now) {
    const Loaded loaded = load(store, book);
    if (!loaded.error.empty()) return loaded.error;
    auth::AdminToken made = auth::ensure_admin_token(book, admin_token_file, now);
    if (!made.error.empty()) return made.error;
    if (!made.record) return {};
    std::string error = commit(store, loaded.contents, book, *std::move(made.record));
    if (error.empty()) spdlog::info("admin token made file={}", admin_token_file);
    return error;
}

std::string renew_admin_token(store::Store& store, const std::string& admin_token_file, auth::Time now) {
    auth::TokenBook book;
    const Loaded loaded = load(store, book);
    if (!loaded.error.empty()) return loaded.error;
    auth::AdminToken made = auth::renew_admin_token(book, admin_token_file, now);
    if (!made.error.empty()) return made.error;
    return commit(store, loaded.contents, book, *std::move(made.record));
}

}  // namespace guideway::controlplane
