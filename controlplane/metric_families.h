// Filled: a family of metrics that is filled at the scrape, from what is known at that moment. For metrics*.cc alone.
//
// Worked example: Filled up(MetricType::Gauge, "guideway_port_up", "1 while the port has a link."); up.add({{"port", "client0"}}, 1.0);
// up.into(families) -> guideway_port_up{port="client0"} 1
// Thread contract: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>
#include <prometheus/metric_type.h>

#include "api/contract/counters.h"

namespace guideway::controlplane {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<std::pair<std::string, std::string>>;

/// A family that is filled at the scrape and left out while it has no series.
class Filled {
  public:
    Filled(MetricType type, std::string name, std::string help) {
        family_.type = type;
        family_.name = std::move(name);
        family_.help = std::move(help);
    }
    void add(Labels labels, double value) {
        ClientMetric metric;
        for (auto& [name, text] : labels) metric.label.push_back({std::move(name), std::move(text)});
        (family_.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
        family_.metric.push_back(std::move(metric));
    }
    void add(Labels labels, std::uint64_t value) { add(std::move(labels), static_cast<double>(value)); }
    void into(std::vector<MetricFamily>& families) {
        if (!family_.metric.empty()) families.push_back(std::move(family_));
    }

  private:
    MetricFamily family_;
};

inline Labels with(Labels labels, std::string name, std::string value) {
    labels.emplace_back(std::move(name), std::move(value));
    return labels;
}

/// What the dataplane counts: services, backends, ports, workers.
void add_dataplane(const contract::Counters& counters, std::vector<MetricFamily>& families);

}  // namespace guideway::controlplane
