// Collects what one check found on many objects: what is ok becomes one finding, the rest one each.
#pragma once

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/doctor_checks.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail::probes {

/// `54.8`: at most as many digits after the point as asked for.
[[nodiscard]] inline std::string decimal(double value, int decimals = 1) {
    char text[64];
    (void)std::snprintf(text, sizeof text, "%.*f", decimals, value);
    return text;
}
[[nodiscard]] inline std::string rate_text(double rate) {
    return decimal(rate) + " GB/s";
}
[[nodiscard]] inline std::string share_text(double share) {
    return decimal(100 * share, 0) + " %";
}

/// One check on a machine. Plain values in, findings out.
class check_sheet {
public:
    /// `id`: one of `check_names`. `limit`: what all are judged by, and its source.
    check_sheet(const char* id, std::string limit) : id_(id), limit_(std::move(limit)) {}

    /// Objects that are as they should be, each named once even when it is looked at twice in a row. The evidence of the one with the least `share` stands for all.
    void ok(const std::string& object, std::string evidence, double share = 1) {
        fold(oks_, severity::ok, object, std::move(evidence), share);
    }
    /// The same for facts that are worth knowing and are alike for all objects.
    void info(const std::string& object, std::string evidence, double share = 1) {
        fold(infos_, severity::info, object, std::move(evidence), share);
    }
    /// The same for objects that could not be looked at.
    void unknown(const std::string& object, std::string why) {
        fold(unknowns_, severity::unknown, object, std::move(why), 1);
    }
    /// Something that costs, on its own. Fill in cost, remedy and reaction.
    finding& add(severity level, std::string object, std::string evidence) {
        made_.push_back(make(level, std::move(object), std::move(evidence)));
        return made_.back();
    }
    [[nodiscard]] bool empty() const noexcept {
        return made_.empty() && oks_.objects.empty() && infos_.objects.empty() && unknowns_.objects.empty();
    }
    /// The findings; nothing looked at is `unknown`, never ok.
    [[nodiscard]] std::vector<finding> take(const char* why_nothing = "there was nothing to look at") && {
        if (empty()) unknown("", why_nothing);
        for (folded* each : {&unknowns_, &infos_, &oks_}) {
            if (each->objects.empty()) continue;
            finding one = make(each->level, names(each->objects), each->evidence);
            if (each->objects.size() > 1) {
                one.evidence = each->level == severity::unknown || each->same
                                   ? each->evidence
                                   : "the least of " + std::to_string(each->objects.size()) + ", " + each->least +
                                         ": " + each->evidence;
            }
            made_.push_back(std::move(one));
        }
        return std::move(made_);
    }

    /// `gpu:0, gpu:1`; of more than eight the first, the last and how many.
    [[nodiscard]] static std::string names(const std::vector<std::string>& objects) {
        std::string text;
        if (objects.size() > 8)
            return objects.front() + ", ..., " + objects.back() + " (" + std::to_string(objects.size()) + ")";
        for (const std::string& each : objects) text += (text.empty() ? "" : ", ") + each;
        return text;
    }

private:
    struct folded {
        severity level = severity::ok;
        std::vector<std::string> objects;
        std::string evidence, least;
        double share = 0;
        bool same = true; ///< all said the same
    };

    void fold(folded& into, severity level, const std::string& object, std::string evidence, double share) {
        into.level = level;
        into.same = into.objects.empty() || (into.same && into.evidence == evidence);
        if (into.objects.empty() || share < into.share) {
            into.evidence = std::move(evidence);
            into.least = object;
            into.share = share;
        }
        if (into.objects.empty() || into.objects.back() != object) into.objects.push_back(object);
    }
    [[nodiscard]] finding make(severity level, std::string object, std::string evidence) const {
        finding made = finding_of(id_, std::move(object));
        made.level = level;
        made.evidence = std::move(evidence);
        made.limit = limit_;
        if (level != severity::warn && level != severity::fail) made.cost.clear();
        return made;
    }

    const char* id_;
    std::string limit_;
    std::vector<finding> made_;
    folded oks_, infos_, unknowns_;
};

} // namespace detail::probes
BARELINK_END_NAMESPACE
