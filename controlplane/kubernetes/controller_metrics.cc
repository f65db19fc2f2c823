#include "controlplane/kubernetes/controller_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace guideway::kubernetes {
namespace {

using prometheus::MetricType;
using Labels = std::vector<std::pair<std::string, std::string>>;

const prometheus::Histogram::BucketBoundaries kBuckets{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                       0.25,  0.5,    1,     2.5,  5,     10};

class Page {
  public:
    explicit Page(std::vector<prometheus::MetricFamily> families) : families_(std::move(families)) {}
    Page& family(MetricType type, const char* name, const char* help) {
        families_.emplace_back();
        families_.back().type = type;
        families_.back().name = std::string("guideway_cloud_controller_") + name;
        families_.back().help = help;
        return *this;
    }
    Page& add(double value, const Labels& labels = {}) {
        prometheus::ClientMetric metric;
        for (const auto& [name, text] : labels) metric.label.push_back({name, text});
        auto& of = families_.back();
        (of.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
        of.metric.push_back(std::move(metric));
        return *this;
    }
    std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

  private:
    std::vector<prometheus::MetricFamily> families_;
};

template <class N>
double number(N value) {
    return static_cast<double>(value);
}

}  // namespace

struct ControllerMetrics::Content {
    prometheus::Registry registry;
    prometheus::Family<prometheus::Histogram>& syncs = prometheus::BuildHistogram()
                                                           .Name("guideway_cloud_controller_sync_duration_seconds")
                                                           .Help("Time of one look at an object, by kind.")
                                                           .Register(registry);
    prometheus::Family<prometheus::Counter>& errors = prometheus::BuildCounter()
                                                          .Name("guideway_cloud_controller_sync_errors_total")
                                                          .Help("Looks at an object that failed, by kind and reason.")
                                                          .Register(registry);
};

ControllerMetrics::ControllerMetrics() : content_(std::make_unique<Content>()) {}
ControllerMetrics::~ControllerMetrics() = default;

void ControllerMetrics::synced(const std::string& kind, const std::string& reason, double seconds) {
    content_->syncs.Add({{"kind", kind}}, kBuckets).Observe(seconds);
    if (!reason.empty()) content_->errors.Add({{"kind", kind}, {"reason", reason}}).Increment();
}

std::string ControllerMetrics::text(const ControllerState& state) const {
    Page page(content_->registry.Collect());
    page.family(MetricType::Gauge, "leader", "1 while this one leads and writes.").add(state.leader ? 1 : 0);
    page.family(MetricType::Gauge, "ready", "1 while /readyz answers 200.").add(state.ready ? 1 : 0);
    page.family(MetricType::Gauge, "services", "Services that are ours.").add(number(state.services));
    page.family(MetricType::Gauge, "load_balancers", "Load balancers of the cluster on the appliance.")
        .add(number(state.load_balancers));
    page.family(MetricType::Gauge, "nodes", "Nodes of the cluster on the appliance.").add(number(state.nodes));
    page.family(MetricType::Gauge, "queue_depth", "Objects that wait to be looked at, by kind.");
    for (const auto& [kind, of] : state.queues) page.add(number(of.waiting), {{"kind", kind}});
    page.family(MetricType::Gauge, "queue_failing", "Objects that are tried again after a failure, by kind.");
    for (const auto& [kind, of] : state.queues) page.add(number(of.failing), {{"kind", kind}});
    page.family(MetricType::Counter, "retries_total", "Failed looks that were put off, by kind.");
    for (const auto& [kind, of] : state.queues) page.add(number(of.retried), {{"kind", kind}});
    page.family(MetricType::Counter, "watch_ends_total", "Watches that ended and were taken up anew, by why.");
    for (const auto& [resource, of] : state.watches) {
        for (std::size_t i = 0; i < kWatchEnds; ++i) {
            const auto end = static_cast<WatchEnd>(i);
            page.add(number(of->ends(end)), {{"resource", resource}, {"reason", std::string(to_string(end))}});
        }
    }
    page.family(MetricType::Gauge, "objects", "Objects known of the API server.");
    for (const auto& [resource, of] : state.watches) page.add(number(of->objects.load()), {{"resource", resource}});
    page.family(MetricType::Gauge, "unreadable_objects", "Objects that are there but cannot be read; see the log.");
    for (const auto& [resource, of] : state.watches) page.add(number(of->unreadable.load()), {{"resource", resource}});
    if (state.requests != nullptr) {
        page.family(MetricType::Counter, "requests_total",
                    "Requests to the API server, by verb and status; 0: no answer.");
        state.requests->for_each_request([&](std::string_view verb, int code, std::uint64_t count) {
            page.add(number(count), {{"verb", std::string(verb)}, {"code", std::to_string(code)}});
        });
    }
    page.family(MetricType::Counter, "events_written_total", "Events made or counted up.")
        .add(number(state.events_written));
    page.family(MetricType::Counter, "events_lost_total", "Events dropped or given up.").add(number(state.events_lost));
    return page.text();
}

}  // namespace guideway::kubernetes
