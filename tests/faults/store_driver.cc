// store_driver: a store driven line by line from standard input, so that a test can let its disk fail between two calls, or kill it
// within one. Each command is answered by one line on standard output when it is done.
//
//   open PATH [PAGES]   -> "ok REVISION" | "error KIND MESSAGE"; PAGES: the log is moved into the file so often
//   commit AFTER SIZE   -> puts record "r<AFTER % 5>" and "size" with SIZE bytes, takes "r<(AFTER + 2) % 5>" away; revision AFTER + 1
//   load                -> "ok REVISION DIGEST": the records in words
//   close               -> "ok"
//   restore PATH FILE   -> "ok" | "error KIND MESSAGE"; FILE is a backup
#include <fstream>
#include <iostream>
#include <sstream>

#include "controlplane/store/backup.h"
#include "controlplane/store/sqlite_restore.h"
#include "controlplane/store/sqlite_store.h"
#include "tests/faults/store_steps.h"

int main() {
    using namespace guideway::store;
    std::unique_ptr<SqliteStore> store;
    const auto answer = [](const std::optional<Error>& error, const std::string& good) {
        if (error) {
            std::cout << "error " << to_string(error->kind) << ' ' << error->message << std::endl;
        } else {
            std::cout << "ok" << good << std::endl;
        }
    };
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string command, path, file;
        words >> command;
        if (command == "open") {
            words >> path;
            SqliteOptions options;
            if (std::uint64_t pages = 0; words >> pages) options.checkpoint_pages = pages;
            auto opened = SqliteStore::open(path, options);
            if (auto* error = std::get_if<Error>(&opened)) {
                answer(*error, "");
                continue;
            }
            store = std::move(std::get<0>(opened));
            Contents contents;
            const auto error = store->load(contents);
            answer(error, " " + std::to_string(contents.revision));
        } else if (command == "commit") {
            std::uint64_t after = 0;
            std::size_t size = 0;
            words >> after >> size;
            answer(store->commit(step(after, size)), "");
        } else if (command == "load") {
            Contents contents;
            const auto error = store->load(contents);
            answer(error, " " + std::to_string(contents.revision) + " " + in_words(contents));
        } else if (command == "close") {
            store.reset();
            answer({}, "");
        } else if (command == "restore") {
            words >> path >> file;
            std::ifstream stream(file);
            auto decoded = backup::decode(stream);
            if (const auto* why = std::get_if<std::string>(&decoded)) {
                answer(Error{ErrorKind::invalid, *why}, "");
                continue;
            }
            answer(restore_sqlite(path, std::get<backup::Decoded>(decoded).contents), "");
        } else {
            std::cerr << "store_driver: unknown command " << line << '\n';
            return 2;
        }
    }
    return 0;
}
