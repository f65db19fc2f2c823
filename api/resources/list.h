// ListMetadata and List: objects of a kind as a list answers them, by Kubernetes' names. Thread contract: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace guideway::resources {

struct ListMetadata {
    std::uint64_t resource_version = 0;      ///< of the moment: a watch from here misses nothing
    std::string next_token;                  ///< `continue`: of the next page; empty: this is the last
    std::uint64_t remaining_item_count = 0;  ///< after this page
    friend bool operator==(const ListMetadata&, const ListMetadata&) = default;
};

template <class T>
struct List {
    ListMetadata metadata;
    std::vector<T> items;
    friend bool operator==(const List&, const List&) = default;
};

}  // namespace guideway::resources
