// The header of a safetensors file and the index of a sharded model, read with a parser that accepts nothing else. Private
// to safetensors.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <barelink/machine/detail/file_bytes.hpp>
#include <barelink/move/source_file.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

inline constexpr std::uint64_t most_header_bytes = 100'000'000; ///< of the format's own reader

/// An error about a file, and a tensor in it when there is one; names are cut and made printable.
[[nodiscard]] inline error bad_file(const char* path, std::string_view why, std::string_view tensor = {}) {
    std::string said = std::string(path) + ": ";
    if (!tensor.empty()) {
        said += "tensor '";
        for (const char each : tensor.substr(0, 200)) said += static_cast<unsigned char>(each) < ' ' ? '?' : each;
        said += "' ";
    }
    return error(errc::parse, (said + std::string(why)).c_str()).about(path);
}

/// The JSON at the beginning of a file. Errors: parse, io.
[[nodiscard]] inline result<std::string> read_safetensors_header(const source_file& file) {
    const auto read_all = [&](char* to, std::uint64_t bytes, std::uint64_t offset) -> status {
        for (std::uint64_t done = 0; done < bytes;) {
            const ssize_t got = ::pread(file.descriptor(), to + done, bytes - done, static_cast<off_t>(offset + done));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return file_error(file.path(), "cannot be read", errno);
            if (got == 0) return bad_file(file.path(), "ends inside its header: it became shorter");
            done += static_cast<std::uint64_t>(got);
        }
        return {};
    };
    if (file.bytes() < 8) return bad_file(file.path(), "is too short for a safetensors file");
    unsigned char number[8];
    if (auto read = read_all(reinterpret_cast<char*>(number), 8, 0); !read) return read.error();
    std::uint64_t size = 0;
    for (int i = 7; i >= 0; --i) size = size << 8 | number[i]; // little-endian
    if (size > most_header_bytes) return bad_file(file.path(), "claims a header above 100 MB: no safetensors file");
    if (size > file.bytes() - 8)
        return bad_file(file.path(), "claims a header that ends beyond the file: it is cut off");
    std::string json(size, '\0');
    if (auto read = read_all(json.data(), size, 8); !read) return read.error();
    if (json.empty() || json[0] != '{') return bad_file(file.path(), "has a header that does not begin with '{'");
    return json;
}

/// As the file says it.
struct raw_tensor {
    std::string name, dtype;
    std::vector<std::uint64_t> shape;
    std::array<std::uint64_t, 2> offsets{};
};

/// What both parsers share: events that are refused unless a parser says otherwise.
struct strict_events {
    using number_integer_t = nlohmann::json::number_integer_t;
    using number_unsigned_t = nlohmann::json::number_unsigned_t;
    using number_float_t = nlohmann::json::number_float_t;
    using string_t = nlohmann::json::string_t;
    using binary_t = nlohmann::json::binary_t;

    std::string why; ///< it stopped
    std::string at;  ///< the tensor that it stopped at

    bool refuse(const char* said) {
        if (why.empty()) why = said;
        return false;
    }
    bool binary(binary_t&) { return refuse("has binary values"); }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& failure) {
        const bool utf8 = std::strstr(failure.what(), "UTF-8") != nullptr;
        return refuse(
            ((utf8 ? "has JSON that is not UTF-8, at byte " : "has broken JSON, at byte ") + std::to_string(position))
                .c_str());
    }
};

/// {"__metadata__": {KEY: TEXT}, NAME: {"dtype": TEXT, "shape": [N...], "data_offsets": [N, N]}}
struct safetensors_reader : strict_events {
    std::vector<raw_tensor> tensors;
    std::vector<std::pair<std::string, std::string>> metadata;

    bool start_object(std::size_t) {
        if (depth_ == 2 || in_array_ || (depth_ == 1 && wants_ == wanted::nothing)) return refuse("has nested objects");
        ++depth_;
        return true;
    }
    bool key(string_t& name) {
        if (depth_ == 1) {
            if (name.find('\0') != name.npos) return refuse("has a zero in a tensor's name");
            at = name;
            seen_ = 0;
            in_metadata_ = name == "__metadata__";
            wants_ = wanted::tensor;
            if (in_metadata_) {
                if (std::exchange(seen_metadata_, true)) return refuse("has two __metadata__");
            } else {
                tensors.push_back({name, {}, {}, {}});
            }
            return true;
        }
        if (in_metadata_) {
            metadata.emplace_back(name, std::string());
            return true;
        }
        wants_ = name == "dtype"          ? wanted::dtype
                 : name == "shape"        ? wanted::shape
                 : name == "data_offsets" ? wanted::offsets
                                          : wanted::nothing;
        if (wants_ == wanted::nothing) return refuse("has a key that is none of dtype, shape and data_offsets");
        const unsigned bit = 1u << static_cast<unsigned>(wants_);
        if ((seen_ & bit) != 0) return refuse("has a key twice");
        seen_ |= bit;
        numbers_ = 0;
        return true;
    }
    bool end_object() {
        if (depth_-- != 2) return true;
        if (in_metadata_) {
            std::sort(metadata.begin(), metadata.end());
            for (std::size_t i = 1; i < metadata.size(); ++i)
                if (metadata[i].first == metadata[i - 1].first) return refuse("has a key twice");
        } else {
            constexpr unsigned all = 1u << static_cast<unsigned>(wanted::dtype) |
                                     1u << static_cast<unsigned>(wanted::shape) |
                                     1u << static_cast<unsigned>(wanted::offsets);
            if (seen_ != all) return refuse("lacks one of dtype, shape and data_offsets");
        }
        return true;
    }
    bool string(string_t& text) {
        if (depth_ == 2 && in_metadata_)
            metadata.back().second = text;
        else if (depth_ == 2 && wants_ == wanted::dtype && !in_array_)
            tensors.back().dtype = text;
        else
            return refuse("has a text where none belongs");
        return true;
    }
    bool start_array(std::size_t) {
        if (depth_ != 2 || in_metadata_ || in_array_ || (wants_ != wanted::shape && wants_ != wanted::offsets))
            return refuse("has a list where none belongs");
        return in_array_ = true;
    }
    bool end_array() {
        in_array_ = false;
        if (wants_ == wanted::offsets && numbers_ != 2) return refuse("has data_offsets that are not two numbers");
        return true;
    }
    bool number_unsigned(number_unsigned_t number) {
        if (!in_array_) return refuse("has a number where none belongs");
        if (wants_ == wanted::shape) {
            tensors.back().shape.push_back(number);
        } else {
            if (numbers_ == 2) return refuse("has data_offsets that are not two numbers");
            tensors.back().offsets[numbers_++] = number;
        }
        return true;
    }
    bool number_integer(number_integer_t) { return refuse("has a negative number"); }
    bool number_float(number_float_t, const string_t&) {
        return refuse("has a number that is not whole, or too large");
    }
    bool null() { return refuse("has a null"); }
    bool boolean(bool) { return refuse("has true or false where none belongs"); }

private:
    enum class wanted : std::uint8_t { nothing, tensor, dtype, shape, offsets };
    int depth_ = 0;
    wanted wants_ = wanted::nothing;
    unsigned seen_ = 0;
    std::size_t numbers_ = 0;
    bool in_array_ = false, in_metadata_ = false, seen_metadata_ = false;
};

/// {"weight_map": {TENSOR: FILE}, whatever else}
struct safetensors_index_reader : strict_events {
    struct place {
        std::string tensor, file;
    };
    std::vector<place> places; ///< in order of their files
    bool seen_map = false;

    bool start_object(std::size_t) {
        if (in_map_) return refuse("has a weight_map that is not names of files");
        return open(map_next_ && depth_ == 1);
    }
    bool start_array(std::size_t) {
        if (in_map_ || depth_ == 0 || map_next_) return refuse("has no object where one belongs");
        return open(false);
    }
    bool key(string_t& name) {
        if (in_map_) {
            places.push_back({name, {}});
            at = name;
            return true;
        }
        map_next_ = depth_ == 1 && name == "weight_map";
        if (map_next_ && std::exchange(seen_map, true)) return refuse("has two weight_map");
        return true;
    }
    bool end_object() {
        --depth_;
        if (std::exchange(in_map_, false)) return finish_map();
        return true;
    }
    bool end_array() {
        --depth_;
        return true;
    }
    bool string(string_t& text) {
        if (!in_map_) return value();
        places.back().file = text;
        return true;
    }
    bool number_unsigned(number_unsigned_t) { return value(); }
    bool number_integer(number_integer_t) { return value(); }
    bool number_float(number_float_t, const string_t&) { return value(); }
    bool null() { return value(); }
    bool boolean(bool) { return value(); }

private:
    bool open(bool map) {
        in_map_ = map;
        map_next_ = false;
        ++depth_;
        return true;
    }
    bool value() {
        return in_map_ || map_next_ || depth_ == 0 ? refuse("has a weight_map that is not names of files") : true;
    }
    bool finish_map() {
        std::sort(places.begin(), places.end(), [](const place& a, const place& b) { return a.tensor < b.tensor; });
        for (std::size_t i = 1; i < places.size(); ++i)
            if (places[i].tensor == places[i - 1].tensor) {
                at = places[i].tensor;
                return refuse("is there twice");
            }
        std::stable_sort(places.begin(), places.end(), [](const place& a, const place& b) { return a.file < b.file; });
        at.clear();
        return true;
    }

    std::uint64_t depth_ = 0;
    bool in_map_ = false, map_next_ = false;
};

/// Errors: parse.
template <class Reader>
[[nodiscard]] status parse_json(const std::string& json, Reader& reader, const char* path) {
    if (nlohmann::json::sax_parse(json, &reader)) return {};
    return bad_file(path, reader.why.empty() ? "has broken JSON" : reader.why, reader.at);
}

/// 0 for a dtype that the format does not have.
[[nodiscard]] inline std::uint64_t dtype_bits(std::string_view name) noexcept {
    struct dtype {
        std::string_view name;
        std::uint64_t bits;
    };
    constexpr dtype known[] = {{"BOOL", 8},    {"U8", 8},          {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8},
                               {"F8_E8M0", 8}, {"F8_E5M2FNUZ", 8}, {"F8_E4M3FNUZ", 8}, {"F4", 4},      {"F6_E2M3", 6},
                               {"F6_E3M2", 6}, {"U16", 16},        {"I16", 16},        {"F16", 16},    {"BF16", 16},
                               {"U32", 32},    {"I32", 32},        {"F32", 32},        {"C64", 64},    {"U64", 64},
                               {"I64", 64},    {"F64", 64}};
    for (const dtype& each : known)
        if (each.name == name) return each.bits;
    return 0;
}

/// Every tensor is as large as its shape says, and together they are the data: no overlap, no hole, nothing beyond. Sorts them
/// by offset. Errors: parse.
[[nodiscard]] inline status check_tensors(std::vector<raw_tensor>& tensors, std::uint64_t data, const char* path) {
    std::sort(tensors.begin(), tensors.end(), [](const raw_tensor& a, const raw_tensor& b) { return a.name < b.name; });
    for (std::size_t i = 1; i < tensors.size(); ++i)
        if (tensors[i].name == tensors[i - 1].name) return bad_file(path, "is there twice", tensors[i].name);
    for (const raw_tensor& each : tensors) {
        std::uint64_t bits = dtype_bits(each.dtype);
        if (bits == 0) return bad_file(path, "has the unknown dtype '" + each.dtype.substr(0, 32) + "'", each.name);
        for (const std::uint64_t dimension : each.shape)
            if (__builtin_mul_overflow(bits, dimension, &bits))
                return bad_file(path, "has a shape of more bits than 64 bits can count", each.name);
        if (each.offsets[0] > each.offsets[1]) return bad_file(path, "ends before it begins", each.name);
        if (each.offsets[1] > data) return bad_file(path, "ends beyond the file: it is cut off, or lies", each.name);
        if (bits % 8 != 0 || bits / 8 != each.offsets[1] - each.offsets[0])
            return bad_file(path, "is not as large as its shape and dtype say", each.name);
    }
    std::sort(tensors.begin(), tensors.end(), [](const raw_tensor& a, const raw_tensor& b) {
        return a.offsets != b.offsets ? a.offsets < b.offsets : a.name < b.name;
    });
    std::uint64_t end = 0;
    for (const raw_tensor& each : tensors) {
        if (each.offsets[0] < end) return bad_file(path, "overlaps the tensor before it", each.name);
        if (each.offsets[0] > end) return bad_file(path, "leaves a hole before it", each.name);
        end = each.offsets[1];
    }
    if (end != data) return bad_file(path, "has bytes that belong to no tensor at its end");
    return {};
}

/// A file's name and nothing that leads elsewhere.
[[nodiscard]] inline bool is_plain_name(std::string_view name) noexcept {
    using namespace std::string_view_literals;
    return !name.empty() && name != "." && name != ".." && name.find_first_of("/\\\0"sv) == name.npos;
}

} // namespace detail
BARELINK_END_NAMESPACE
