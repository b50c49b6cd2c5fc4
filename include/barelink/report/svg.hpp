// Writes SVG: shapes, text, classes. Just enough of the format for this library's pictures; no fonts, scripts or links.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE

struct svg_point {
    double x = 0;
    double y = 0;

    friend bool operator==(const svg_point&, const svg_point&) noexcept = default;
};

namespace detail {

/// One decimal, no trailing zero: pictures stay small and diffs readable.
[[nodiscard]] inline std::string svg_number(double value) {
    const double tenths = std::round(value * 10);
    if (!std::isfinite(tenths)) return "0";
    const auto whole = static_cast<long long>(tenths);
    return whole % 10 == 0 ? fmt::format("{}", whole / 10) : fmt::format("{:.1f}", tenths / 10);
}

/// Escapes for text and attributes; bytes that XML forbids become spaces.
[[nodiscard]] inline std::string xml_escaped(std::string_view raw) {
    std::string out;
    for (const char c : raw) {
        switch (c) {
        case '&': out += "&amp;"; break;
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '"': out += "&quot;"; break;
        default: out += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? ' ' : c;
        }
    }
    return out;
}

/// Width of text in pixels, on the safe side: sans-serif letters are about 0.56 of the font size wide.
[[nodiscard]] inline double text_pixels(std::string_view text, double font_size) noexcept {
    double letters = 0;
    for (const char c : text) {
        if ((static_cast<unsigned char>(c) & 0xc0u) == 0x80u) continue;
        const bool slim = c == '.' || c == ',' || c == ':' || c == 'i' || c == 'l' || c == ' ' || c == '/' || c == '1';
        letters += slim ? 0.4 : c >= 'A' && c <= 'Z' ? 0.7 : 0.6;
    }
    return letters * font_size;
}

/// Text cut to a width, with an ellipsis where something is missing.
[[nodiscard]] inline std::string text_cut(std::string text, double pixels, double font_size) {
    if (text_pixels(text, font_size) <= pixels) return text;
    while (!text.empty() && text_pixels(text, font_size) + 0.8 * font_size > pixels) {
        while (text.size() > 1 && (static_cast<unsigned char>(text.back()) & 0xc0u) == 0x80u) text.pop_back();
        text.pop_back();
    }
    while (!text.empty() && text.back() == ' ') text.pop_back();
    return text + "\u2026";
}

} // namespace detail

/// Collects shapes in painting order. `classes` refer to the style given at the start; `extra` is written as it is and must be
/// attributes such as `stroke-width="2"`.
class svg_writer {
public:
    void rect(double x, double y, double width, double height, double radius, std::string_view classes,
              std::string_view extra = {}) {
        body_ += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"", detail::svg_number(x),
                             detail::svg_number(y), detail::svg_number(width), detail::svg_number(height));
        if (radius > 0) body_ += fmt::format(" rx=\"{}\"", detail::svg_number(radius));
        finish(classes, extra);
    }
    void line(svg_point from, svg_point to, double width, std::string_view classes, std::string_view extra = {}) {
        body_ += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke-width=\"{:.2f}\"",
                             detail::svg_number(from.x), detail::svg_number(from.y), detail::svg_number(to.x),
                             detail::svg_number(to.y), width);
        finish(classes, extra);
    }
    void path(std::string_view commands, std::string_view classes, std::string_view extra = {}) {
        body_ += fmt::format("<path d=\"{}\"", commands);
        finish(classes, extra);
    }
    /// One line of text; `classes` should name an anchor (`mid`, `end`) when it is not to start at x.
    void text(double x, double y, std::string_view said, std::string_view classes, std::string_view extra = {}) {
        body_ += fmt::format("<text x=\"{}\" y=\"{}\"", detail::svg_number(x), detail::svg_number(y));
        if (!classes.empty()) body_ += fmt::format(" class=\"{}\"", classes);
        body_ += fmt::format("{}{}>{}</text>\n", extra.empty() ? "" : " ", extra, detail::xml_escaped(said));
    }
    /// A group; `hover` becomes its tooltip.
    void open(std::string_view classes, std::string_view hover = {}) {
        body_ += classes.empty() ? "<g>" : fmt::format("<g class=\"{}\">", classes);
        if (!hover.empty()) body_ += fmt::format("<title>{}</title>", detail::xml_escaped(hover));
        body_ += '\n';
    }
    void close() { body_ += "</g>\n"; }

    /// A picture within a page: the page's style applies, and the page's width decides how large it is.
    [[nodiscard]] std::string picture(double width, double height, std::string_view title, std::string_view description,
                                      std::string_view classes) const {
        return fmt::format("<svg class=\"{5}\" viewBox=\"0 0 {0} {1}\" "
                           "role=\"img\" aria-label=\"{2}\"><title>{2}</title><desc>{3}</desc>\n{4}</svg>",
                           detail::svg_number(width), detail::svg_number(height), detail::xml_escaped(title),
                           detail::xml_escaped(description), body_, classes);
    }

    /// The whole document, with a background in class `bg`. `description` is for those who cannot see it.
    [[nodiscard]] std::string document(double width, double height, std::string_view title,
                                       std::string_view description, std::string_view style) const {
        return fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
                           "height=\"{1}\" role=\"img\" aria-labelledby=\"title desc\">\n"
                           "<title id=\"title\">{2}</title>\n<desc id=\"desc\">{3}</desc>\n<style>\n{4}</style>\n"
                           "<rect class=\"bg\" width=\"{0}\" height=\"{1}\" rx=\"10\"/>\n{5}</svg>\n",
                           detail::svg_number(width), detail::svg_number(height), detail::xml_escaped(title),
                           detail::xml_escaped(description), style, body_);
    }

private:
    void finish(std::string_view classes, std::string_view extra) {
        if (!classes.empty()) body_ += fmt::format(" class=\"{}\"", classes);
        body_ += fmt::format("{}{}/>\n", extra.empty() ? "" : " ", extra);
    }

    std::string body_;
};

namespace detail {

/// Path commands for a line through points, its corners rounded. Points in a row that coincide are skipped.
[[nodiscard]] inline std::string rounded_line(const std::vector<svg_point>& through, double radius) {
    std::vector<svg_point> points;
    for (const svg_point& p : through)
        if (points.empty() || std::hypot(p.x - points.back().x, p.y - points.back().y) > 0.05) points.push_back(p);
    if (points.size() < 2) return {};
    const auto toward = [](svg_point from, svg_point to, double distance) {
        const double length = std::hypot(to.x - from.x, to.y - from.y);
        const double part = length > 0 ? distance / length : 0;
        return svg_point{from.x + (to.x - from.x) * part, from.y + (to.y - from.y) * part};
    };
    std::string out = fmt::format("M{} {}", svg_number(points[0].x), svg_number(points[0].y));
    for (std::size_t i = 1; i + 1 < points.size(); ++i) {
        const double before = std::hypot(points[i].x - points[i - 1].x, points[i].y - points[i - 1].y);
        const double after = std::hypot(points[i + 1].x - points[i].x, points[i + 1].y - points[i].y);
        const double r = std::min({radius, before / 2, after / 2});
        const svg_point in = toward(points[i], points[i - 1], r), out_at = toward(points[i], points[i + 1], r);
        out += fmt::format("L{} {}Q{} {} {} {}", svg_number(in.x), svg_number(in.y), svg_number(points[i].x),
                           svg_number(points[i].y), svg_number(out_at.x), svg_number(out_at.y));
    }
    return out + fmt::format("L{} {}", svg_number(points.back().x), svg_number(points.back().y));
}

} // namespace detail

BARELINK_END_NAMESPACE
