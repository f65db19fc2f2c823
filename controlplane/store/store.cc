#include "controlplane/store/store.h"

namespace guideway::store {

std::string_view to_string(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::unavailable:
            return "unavailable";
        case ErrorKind::full:
            return "full";
        case ErrorKind::read_only:
            return "read_only";
        case ErrorKind::busy:
            return "busy";
        case ErrorKind::conflict:
            return "conflict";
        case ErrorKind::corrupt:
            return "corrupt";
        case ErrorKind::newer:
            return "newer";
    }
    return "unavailable";
}

}  // namespace guideway::store
