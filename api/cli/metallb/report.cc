#include "api/cli/metallb/report.h"

#include <algorithm>
#include <ostream>

namespace guideway::cli::metallb {

namespace {

/// What others wrote must not speak to the reader's terminal, nor begin lines of its own.
std::string shown(std::string text) {
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    }
    return text;
}

const char* text_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::carried:
            return "carried over";
        case Verdict::differs:
            return "carried over with a difference";
        case Verdict::lost:
            break;
    }
    return "cannot be carried over";
}

}  // namespace

Verdict ObjectReport::verdict() const {
    if (lost) return Verdict::lost;
    const bool same = std::all_of(findings.begin(), findings.end(),
                                  [](const Finding& finding) { return finding.verdict == Verdict::carried; });
    return same ? Verdict::carried : Verdict::differs;
}

Totals totals_of(const std::vector<ObjectReport>& reports) {
    Totals totals;
    for (const ObjectReport& report : reports) {
        const Verdict verdict = report.verdict();
        ++(verdict == Verdict::carried ? totals.carried : verdict == Verdict::differs ? totals.differs : totals.lost);
    }
    return totals;
}

void print_report(std::ostream& out, const std::vector<ObjectReport>& reports) {
    for (const ObjectReport& report : reports) {
        const Verdict verdict = report.verdict();
        out << shown(report.title) << ": " << text_of(verdict);
        if (!report.becomes.empty()) out << ", as " << shown(report.becomes);
        if (verdict != Verdict::carried) out << " (" << shown(report.origin) << ')';
        out << '\n';
        for (const Finding& finding : report.findings) {
            // Of an object that is lost whole, the headline has said so.
            const bool part = finding.verdict == Verdict::lost && !report.lost;
            out << "  " << (finding.field.empty() ? "" : shown(finding.field) + ": ")
                << (part ? "not carried over: " : "") << shown(finding.message) << '\n';
        }
    }
    const Totals totals = totals_of(reports);
    out << reports.size() << (reports.size() == 1 ? " object: " : " objects: ") << totals.carried << " carried over, "
        << totals.differs << " with a difference, " << totals.lost << " not\n";
}

}  // namespace guideway::cli::metallb
