// drops: where packets end, in plain language.
#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "api/cli/commands.h"
#include "api/cli/drop_help.h"
#include "api/cli/show.h"
#include "api/cli/text.h"
#include "api/client/dataplane_socket.h"
#include "api/json/writer.h"

namespace guideway::cli {

namespace {

using Reading = resources::Result<contract::Counters>;

/// Of the control plane, or with --socket of the dataplane itself.
class Source {
  public:
    explicit Source(Session& session) : session_(session) {
        if (!session.options.socket.empty()) socket_.emplace(session.options.socket);
    }
    Reading read() {
        if (!socket_) return session_.client.counters();
        auto response = socket_->ask(contract::CountersRequest{});
        if (!response.ok()) return response.problem();
        return response.value().counters.value_or(contract::Counters{});
    }

  private:
    Session& session_;
    std::optional<client::DataplaneSocket> socket_;
};

/// What the dataplane tells under a name; a newer one knows more reasons than this program.
const DropHelp& help_of(const std::string& reason) {
    static const DropHelp unknown{"", "Not known to this program",
                                  "This program is older than the dataplane and does not know the reason.",
                                  "Use the guideway command of the dataplane's version, or its docs/drops.md."};
    const DropHelp* help = drop_help_of(reason);
    return help != nullptr ? *help : unknown;
}

std::string indented(const char* lead, const std::string& text) {
    constexpr std::size_t kWidth = 96;
    std::string out = lead;
    const std::string margin(out.size(), ' ');
    std::size_t column = out.size();
    std::size_t at = 0;
    while (at < text.size()) {
        const auto end = std::min(text.find(' ', at), text.size());
        const std::string word = text.substr(at, end - at);
        if (column > margin.size() && column + word.size() + 1 > kWidth) {
            out += '\n' + margin;
            column = margin.size();
        } else if (column > margin.size()) {
            out += ' ';
            ++column;
        }
        out += word;
        column += word.size();
        at = end + 1;
    }
    return out;
}

void show_help(std::ostream& out, const DropHelp& help) {
    out << indented("    ", help.means) << '\n' << indented("    -> ", help.advice) << '\n';
}

}  // namespace

std::vector<DropRow> drop_rows(const contract::Counters& now, const contract::Counters* before, double seconds) {
    // A dataplane that began anew counts from zero.
    const bool same = before != nullptr && before->started_at_unix_seconds == now.started_at_unix_seconds;
    std::map<std::pair<std::uint32_t, std::string>, std::uint64_t> old;
    if (same) {
        for (const auto& worker : before->workers) {
            for (const auto& drop : worker.drops) old[{worker.worker, drop.reason}] = drop.packets;
        }
    }
    std::vector<DropRow> rows;
    for (const auto& worker : now.workers) {
        for (const auto& drop : worker.drops) {
            auto row = std::ranges::find(rows, drop.reason, &DropRow::reason);
            if (row == rows.end()) row = rows.insert(rows.end(), DropRow{drop.reason, 0, 0, {}});
            row->packets += drop.packets;
            row->workers.emplace_back(worker.worker, drop.packets);
            const auto found = old.find({worker.worker, drop.reason});
            const std::uint64_t then = found == old.end() ? 0 : found->second;
            if (seconds > 0)
                row->per_second += static_cast<double>(drop.packets - std::min(then, drop.packets)) / seconds;
        }
    }
    std::ranges::stable_sort(rows, [](const DropRow& a, const DropRow& b) {
        return std::pair(a.per_second, a.packets) > std::pair(b.per_second, b.packets);
    });
    return rows;
}

void show_drops(std::ostream& out, const std::vector<DropRow>& rows, bool rates, bool by_worker) {
    // What was answered is no loss: last, and said so.
    const auto lost = [](const DropRow& row) { return row.reason != "answered" && row.reason != "refused"; };
    bool any = false;
    for (const bool losses : {true, false}) {
        bool first = true;
        for (const DropRow& row : rows) {
            if (lost(row) != losses) continue;
            if (!losses && std::exchange(first, false)) out << "Not lost: these were answered.\n\n";
            any = any || losses;
            out << printable(row.reason) << "  " << count_text(row.packets)
                << (row.packets == 1 ? " packet" : " packets");
            if (rates) out << ", " << count_text(static_cast<std::uint64_t>(row.per_second + 0.5)) << " a second now";
            out << '\n';
            if (by_worker) {
                for (const auto& [worker, packets] : row.workers) {
                    if (packets != 0) out << "    worker " << worker << ": " << count_text(packets) << '\n';
                }
            }
            show_help(out, help_of(row.reason));
            out << '\n';
        }
        if (losses && !any) out << "No packet was dropped.\n\n";
    }
}

namespace {

std::vector<DropRow> chosen(std::vector<DropRow> rows, const CliOptions& options) {
    std::erase_if(rows, [&](const DropRow& row) {
        return options.name.empty() ? row.packets == 0 && !options.everywhere : row.reason != options.name;
    });
    return rows;
}

std::string json_of(const std::vector<DropRow>& rows, bool rates) {
    json::Writer out;
    out.begin_object().key("drops").begin_array();
    for (const DropRow& row : rows) {
        const DropHelp& help = help_of(row.reason);
        out.begin_object().key("reason").text(row.reason).key("packets").number(row.packets);
        if (rates) out.key("per_second").number(static_cast<std::uint64_t>(row.per_second + 0.5));
        out.key("group").text(help.group).key("means").text(help.means).key("advice").text(help.advice);
        out.key("workers").begin_array();
        for (const auto& [worker, packets] : row.workers) {
            out.begin_object().key("worker").number(worker).key("packets").number(packets).end_object();
        }
        out.end_array().end_object();
    }
    out.end_array().end_object();
    return out.take();
}

}  // namespace

int drops(Session& session) {
    const CliOptions& options = session.options;
    if (!options.name.empty() && drop_help_of(options.name) == nullptr) {
        return session.wrong("REASON", options.name, "a name of the list that guideway drops --all shows");
    }
    Source source(session);
    Reading before = source.read();
    auto then = std::chrono::steady_clock::now();
    if (!before.ok()) {
        const int code = session.failed(before.problem());
        if (code == kUnreachable && options.socket.empty()) {
            session.err()
                << "On the appliance itself the dataplane can be asked without the control plane: guideway drops "
                   "--socket /run/guideway/dataplane.sock\n";
        }
        return code;
    }
    if (!options.watch) {
        const auto rows = chosen(drop_rows(before.value(), nullptr, 0), options);
        if (!session.print_data(json_of(rows, false))) show_drops(session.out(), rows, false, options.by_worker);
        return kOk;
    }
    for (;;) {
        std::this_thread::sleep_for(std::chrono::duration<double>(options.interval));
        Reading after = source.read();
        const auto now = std::chrono::steady_clock::now();
        if (!after.ok()) return session.failed(after.problem());
        const double seconds = std::chrono::duration<double>(now - then).count();
        const auto rows = chosen(drop_rows(after.value(), &before.value(), seconds), options);
        if (!session.print_data(json_of(rows, true))) {
            // Home and clear, as top does.
            if (!options.once) session.out() << "\x1b[H\x1b[2J";
            show_drops(session.out(), rows, true, options.by_worker);
        }
        session.out().flush();
        if (options.once || !session.out()) return kOk;
        before = std::move(after);
        then = now;
    }
}

}  // namespace guideway::cli
