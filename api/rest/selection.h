// selects(): whether an object is among those a Selection means. For implementations of Appliance. Thread contract: pure functions.
#pragma once

#include "api/resources/event.h"
#include "api/resources/metadata.h"
#include "api/resources/selector_query.h"
#include "api/rest/appliance.h"

namespace guideway::rest {

inline bool selects(const Selection& selection, const resources::Metadata& metadata) {
    return (!selection.cluster || *selection.cluster == metadata.cluster) &&
           (!selection.namespace_ || *selection.namespace_ == metadata.namespace_) &&
           resources::matches(selection.labels, metadata.labels);
}

/// Cluster and namespace are those of the object that the event tells of; events have no labels.
inline bool selects(const Selection& selection, const resources::Event& event) {
    const resources::ObjectReference& about = event.regarding;
    return (!selection.cluster || *selection.cluster == about.cluster) &&
           (!selection.namespace_ || *selection.namespace_ == about.namespace_) &&
           (!selection.regarding_kind || *selection.regarding_kind == about.kind) &&
           (!selection.regarding_name || *selection.regarding_name == about.name);
}

}  // namespace guideway::rest
