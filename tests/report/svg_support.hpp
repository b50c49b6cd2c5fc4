// Reads pictures back: well-formed, inside their frame, labels apart.
#pragma once

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include <pugixml.hpp>

#include <barelink/report/svg.hpp>

#include "../support/catch.hpp"

struct read_svg {
    pugi::xml_document document;

    explicit read_svg(const std::string& text) {
        const pugi::xml_parse_result parsed = document.load_buffer(text.data(), text.size());
        INFO(parsed.description() << " at " << parsed.offset);
        REQUIRE(parsed);
        REQUIRE(std::string(root().name()) == "svg");
    }
    [[nodiscard]] pugi::xml_node root() const { return document.document_element(); }
    [[nodiscard]] double width() const { return root().attribute("width").as_double(); }
    [[nodiscard]] double height() const { return root().attribute("height").as_double(); }

    [[nodiscard]] std::vector<pugi::xml_node> all(const char* xpath) const {
        std::vector<pugi::xml_node> found;
        for (const auto& each : document.select_nodes(xpath)) found.push_back(each.node());
        return found;
    }
    [[nodiscard]] std::vector<std::string> texts() const {
        std::vector<std::string> found;
        for (const auto& each : all("//text")) found.push_back(each.text().get());
        return found;
    }
    [[nodiscard]] std::size_t count_text(const std::string& said) const {
        std::size_t count = 0;
        for (const std::string& each : texts()) count += each == said;
        return count;
    }
};

struct svg_box {
    double x, y, width, height;
    std::string what;

    explicit svg_box(const pugi::xml_node& rect)
        : x(rect.attribute("x").as_double()), y(rect.attribute("y").as_double()),
          width(rect.attribute("width").as_double()), height(rect.attribute("height").as_double()),
          what(rect.attribute("class").value()) {}
    [[nodiscard]] bool overlaps(const svg_box& other) const {
        constexpr double slack = 0.5;
        return x + width > other.x + slack && other.x + other.width > x + slack && y + height > other.y + slack &&
               other.y + other.height > y + slack;
    }
};

/// What every picture must be.
inline void check_picture(const std::string& text) {
    const read_svg svg(text);
    const std::string box = svg.root().attribute("viewBox").value();
    CHECK(box ==
          "0 0 " + std::string(svg.root().attribute("width").value()) + " " + svg.root().attribute("height").value());
    CHECK(std::strlen(svg.root().child("title").text().get()) > 0);
    CHECK(std::strlen(svg.root().child("desc").text().get()) > 0);
    CHECK(svg.all("//script").empty());
    CHECK(text.find("href") == std::string::npos);
    CHECK(text.find("nan") == std::string::npos);
    CHECK(text.find("url(") == std::string::npos);
    for (const auto& rect : svg.all("//rect")) {
        const svg_box each(rect);
        INFO(each.what << " at " << each.x << "," << each.y << " " << each.width << "x" << each.height);
        CHECK(each.x >= 0);
        CHECK(each.y >= 0);
        CHECK(each.width >= 0);
        CHECK(each.height >= 0);
        CHECK(each.x + each.width <= svg.width() + 0.2);
        CHECK(each.y + each.height <= svg.height() + 0.2);
    }
}

/// Labels, and boxes of one kind, lie apart.
inline void check_apart(const read_svg& svg, const char* xpath) {
    const auto rects = svg.all(xpath);
    std::size_t overlaps = 0;
    for (std::size_t i = 0; i < rects.size(); ++i)
        for (std::size_t j = i + 1; j < rects.size(); ++j) {
            const svg_box a(rects[i]), b(rects[j]);
            if (!a.overlaps(b)) continue;
            ++overlaps;
            UNSCOPED_INFO(a.what << " at " << a.x << "," << a.y << " overlaps " << b.what << " at " << b.x << ","
                                 << b.y);
        }
    CHECK(overlaps == 0);
}

/// Text of a box stays inside it, by the widths of a wide font.
inline void check_fits(const read_svg& svg) {
    for (const auto& group : svg.all("//g[rect[@class='gpu' or @class='mem' or @class='node']]")) {
        const svg_box box(group.child("rect"));
        for (const auto& text : group.children("text")) {
            const std::string said = text.text().get(), classes = text.attribute("class").value();
            const bool small = classes.find("xs") != std::string::npos;
            const double size = small ? 8.5 : classes.find(" s") != std::string::npos ? 9.5 : 11;
            INFO(said << " in a box of " << box.width);
            CHECK(barelink::detail::text_pixels(said, size) <= box.width + 4);
        }
    }
}
