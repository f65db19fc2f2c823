// What guideway-controlplane does with its store instead of serving: back it up to a file, restore it from one. Both take the
// store's lock, so they are refused while a control plane runs on it (then: guideway backup, guideway restore).
//
// Worked example: back_up("/var/lib/guideway/guideway.db", "-") writes the backup (store/backup.h) to standard output, returns 0.
// Return values are exit statuses: 0 done; 1 not, with the reason on standard error.
// Thread contract: before any thread is started.
#pragma once

#include <string>

namespace guideway::controlplane {

/// `file`: made whole and synced before it gets its name, mode 0600; "-": standard output. The store must exist.
int back_up(const std::string& store, const std::string& file);
/// `file`: a backup; "-": standard input. It is read to its end and checked before the store is touched. The old store is kept as
/// NAME.before-restore.
int restore(const std::string& store, const std::string& file);

}  // namespace guideway::controlplane
