// Statement: one prepared SQLite statement, used again and again by SqliteStore; finalised on the way out.
//
// Worked example: statement.bind(1, name); statement.bind(2, value); code = statement.run();  // SQLITE_DONE, ready for the next
//                 for (code = s.step(); code == SQLITE_ROW; code = s.step()) use(s.text(0)); s.reset();
// Bound texts must live until the statement is reset. A statement that still stands on a row keeps its transaction open: reset it.
// Thread contract: that of its store.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <sqlite3.h>

namespace guideway::store {

class Statement {
  public:
    Statement() = default;
    Statement(sqlite3* database, const char* sql) { prepare(database, sql); }
    ~Statement() { finalize(); }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    /// SQLITE_OK, or why not; step() then gives the same.
    int prepare(sqlite3* database, const char* sql) {
        finalize();
        code_ = sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr);
        return code_;
    }
    void finalize() {
        sqlite3_finalize(statement_);
        statement_ = nullptr;
    }
    void bind(int index, std::string_view text) {
        sqlite3_bind_text64(statement_, index, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
    }
    void bind(int index, std::uint64_t number) {
        sqlite3_bind_int64(statement_, index, static_cast<sqlite3_int64>(number));
    }
    int step() { return code_ == SQLITE_OK ? sqlite3_step(statement_) : code_; }
    void reset() { sqlite3_reset(statement_); }
    /// One step and a reset, for what gives no row. The extended code of a failure.
    int run() {
        const int code = step();
        reset();
        return code;
    }
    std::string text(int column) const {
        const void* bytes = sqlite3_column_blob(statement_, column);
        const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
        return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), size);
    }
    std::uint64_t number(int column) const {
        return static_cast<std::uint64_t>(sqlite3_column_int64(statement_, column));
    }

  private:
    sqlite3_stmt* statement_ = nullptr;
    int code_ = SQLITE_MISUSE;
};

}  // namespace guideway::store
