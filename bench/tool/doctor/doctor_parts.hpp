// How doctor is cut into children: one that hangs or dies takes its own checks with it and no others.
#pragma once

#include <string>
#include <vector>

#include <barelink/measure/finding.hpp>

namespace tool {

/// Checks that run in one child.
struct doctor_part {
    std::string name;
    std::vector<std::string> ids; ///< of the checks whose findings it reports
    double limit_s = 10;          ///< after which it is killed
    /// What its checks are when it hangs or dies: `fail` where that is the verdict.
    barelink::severity on_death = barelink::severity::unknown;
};

} // namespace tool
