// What the tests of stores in files share: a folder of their own, and a store opened or refused.
// Thread contract: one thread.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include <gtest/gtest.h>

#include "controlplane/store/sqlite_store.h"

namespace guideway::store {

/// In memory where there is room: what a sync did not reach is tests/faults' doing, and a real disk's syncs would only cost time.
struct Folder {
    Folder() {
        const bool memory = std::filesystem::is_directory("/dev/shm");
        const auto parent = memory ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path();
        std::string name = (parent / "guideway-store-XXXXXX").string();
        path = mkdtemp(name.data());
    }
    ~Folder() { std::filesystem::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string file() const { return (path / "store.db").string(); }
    std::filesystem::path path;
};

inline std::unique_ptr<SqliteStore> open_or_fail(const std::string& path, SqliteOptions options = {}) {
    auto opened = SqliteStore::open(path, std::move(options));
    if (auto* error = std::get_if<Error>(&opened)) {
        ADD_FAILURE() << error->message;
        return nullptr;
    }
    return std::move(std::get<std::unique_ptr<SqliteStore>>(opened));
}

inline Error refusal_of(const std::string& path) {
    auto opened = SqliteStore::open(path);
    if (auto* error = std::get_if<Error>(&opened)) return *error;
    ADD_FAILURE() << path << " was opened";
    return {};
}

}  // namespace guideway::store
