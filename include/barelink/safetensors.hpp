// Safetensors files: what is in them and where, strictly checked. Needs nlohmann_json: link barelink::safetensors.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <barelink/core/result.hpp>
#include <barelink/move/detail/safetensors_header.hpp>

BARELINK_BEGIN_NAMESPACE

/// A tensor, contiguous and row-major in its file.
struct safetensors_tensor {
    std::string name;
    std::string dtype; ///< as the file writes it: BF16, F8_E4M3
    std::vector<std::uint64_t> shape;
    std::uint64_t offset = 0; ///< of its first byte, from the beginning of the file
    std::uint64_t bytes = 0;
};

/// One file: its tensors by their offset, without holes.
struct safetensors_file {
    std::string path;
    std::uint64_t bytes = 0; ///< size of the file
    std::vector<safetensors_tensor> tensors;
    std::vector<std::pair<std::string, std::string>> metadata;

    [[nodiscard]] const safetensors_tensor* find(std::string_view name) const noexcept {
        for (const safetensors_tensor& each : tensors)
            if (each.name == name) return &each;
        return nullptr;
    }
};

/// Reads the header of a file, and nothing else of it. Trusts nothing: a file that passes can be loaded by its offsets.
/// Errors: those of `source_file::open`; io (it cannot be read); parse, naming file and tensor: a header beyond the file or
/// 100 MB, no JSON, not UTF-8, keys twice or of the wrong type, an unknown dtype, a size that is not shape times dtype or
/// does not fit 64 bits, tensors that overlap, leave a hole, or end beyond the file or before its end.
[[nodiscard]] inline result<safetensors_file> read_safetensors(const char* path) {
    auto opened = source_file::open(path);
    if (!opened) return std::move(opened).error();
    auto header = detail::read_safetensors_header(*opened);
    if (!header) return std::move(header).error();
    detail::safetensors_reader reader;
    if (auto read = detail::parse_json(*header, reader, path); !read) return read.error();

    safetensors_file found{path, opened->bytes(), {}, std::move(reader.metadata)};
    const std::uint64_t start = 8 + header->size(), data = opened->bytes() - start;
    if (auto fits = detail::check_tensors(reader.tensors, data, path); !fits) return fits.error();
    for (detail::raw_tensor& each : reader.tensors)
        found.tensors.push_back({std::move(each.name), std::move(each.dtype), std::move(each.shape),
                                 start + each.offsets[0], each.offsets[1] - each.offsets[0]});
    return found;
}

/// Reads `model.safetensors.index.json` and the header of every file that it names, in its folder. The files in the order of
/// the index; tensors that the index does not place in a file are left out of it. Errors: as for `read_safetensors`; parse
/// also for a name that leads out of the folder, and for a tensor that its file does not have.
[[nodiscard]] inline result<std::vector<safetensors_file>> read_safetensors_index(const char* path) {
    auto json = detail::read_file(path, detail::most_header_bytes);
    if (!json) return std::move(json).error();
    if (json->size() > detail::most_header_bytes) return detail::bad_file(path, "is larger than an index may be");
    detail::safetensors_index_reader reader;
    if (auto read = detail::parse_json(*json, reader, path); !read) return read.error();
    if (!reader.seen_map) return detail::bad_file(path, "has no weight_map");

    const std::string_view whole(path);
    const std::string folder(whole.substr(0, whole.rfind('/') == whole.npos ? 0 : whole.rfind('/') + 1));
    std::vector<safetensors_file> files;
    for (std::size_t first = 0, last = 0; first < reader.places.size(); first = last) {
        const std::string& name = reader.places[first].file; // places are in order of their files
        if (!detail::is_plain_name(name))
            return detail::bad_file(path, "names a file outside its folder", reader.places[first].tensor);
        auto file = read_safetensors((folder + name).c_str());
        if (!file) return std::move(file).error();
        // Both by name, side by side.
        auto& there = file->tensors;
        std::sort(there.begin(), there.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
        std::vector<safetensors_tensor> wanted;
        std::size_t at = 0;
        for (last = first; last < reader.places.size() && reader.places[last].file == name; ++last) {
            const std::string& tensor = reader.places[last].tensor;
            while (at < there.size() && there[at].name < tensor) ++at;
            if (at == there.size() || there[at].name != tensor)
                return detail::bad_file(file->path.c_str(), "is not there, where the index places it", tensor);
            wanted.push_back(std::move(there[at++]));
        }
        std::sort(wanted.begin(), wanted.end(), [](const auto& a, const auto& b) {
            return a.offset != b.offset ? a.offset < b.offset : a.name < b.name;
        });
        there = std::move(wanted);
        files.push_back(*std::move(file));
    }
    return files;
}

/// A model as people name it: a file, an index (by its name's end, `.json`), or a folder with `model.safetensors.index.json`
/// or `model.safetensors`. Errors: those of the two above.
[[nodiscard]] inline result<std::vector<safetensors_file>> read_safetensors_model(const char* path) {
    std::string name(path ? path : "");
    struct stat about {};
    if (::stat(name.c_str(), &about) == 0 && S_ISDIR(about.st_mode)) {
        const std::string index = name + "/model.safetensors.index.json";
        name = ::access(index.c_str(), F_OK) == 0 ? index : name + "/model.safetensors";
    }
    if (std::string_view(name).ends_with(".json")) return read_safetensors_index(name.c_str());
    auto one = read_safetensors(name.c_str());
    if (!one) return std::move(one).error();
    return std::vector<safetensors_file>{*std::move(one)};
}

BARELINK_END_NAMESPACE
