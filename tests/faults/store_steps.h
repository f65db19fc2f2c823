// The history that store_driver writes, so that a test knows what each of its revisions must hold.
// Worked example: contents_at(3, 100) is what step(0, 100), step(1, 100), step(2, 100) leave.
// Thread contract: pure functions.
#pragma once

#include <map>
#include <string>

#include "controlplane/store/store.h"

namespace guideway::store {

/// The batch that follows revision `after`.
inline Batch step(std::uint64_t after, std::size_t size) {
    const std::string number = std::to_string(after + 1);
    return {{{"node", "r" + std::to_string(after % 5), number},
             {"node", "r" + std::to_string((after + 2) % 5), std::nullopt},
             {"node", "size", std::string(size, static_cast<char>('a' + after % 26))}},
            after,
            after + 1,
            after + 1};
}

inline Contents contents_at(std::uint64_t revision, std::size_t size) {
    std::map<std::string, Record> records;
    for (std::uint64_t after = 0; after < revision; ++after) {
        for (const Change& change : step(after, size).changes) {
            if (change.document) {
                records.insert_or_assign(change.key, Record{change.kind, change.key, *change.document, after + 1});
            } else {
                records.erase(change.key);
            }
        }
    }
    Contents contents{{}, revision, revision};
    for (auto& [key, record] : records) contents.records.push_back(std::move(record));
    return contents;
}

/// Everything but the long documents, which stand as their first byte and length.
inline std::string in_words(const Contents& contents) {
    std::string text;
    for (const Record& record : contents.records) {
        const std::string& document = record.document;
        const bool one_letter = document.find_first_not_of(document.front()) == std::string::npos;
        text += record.key + "=" +
                (document.size() < 20
                     ? document
                     : document.substr(0, 1) + (one_letter ? "*" : "?") + std::to_string(document.size())) +
                "@" + std::to_string(record.revision) + ";";
    }
    return text + "g" + std::to_string(contents.generation);
}

}  // namespace guideway::store
