// A folder of a test's own, gone with it.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "patterned_bytes.hpp"

class temporary_folder {
public:
    explicit temporary_folder(const std::string& in = std::filesystem::temp_directory_path().string()) {
        std::string name = in + "/barelink-test-XXXXXX";
        if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder in " + in);
        path_ = name;
    }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;
    ~temporary_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    /// A new file with a pattern in it; returns its path.
    [[nodiscard]] std::string file(const std::string& name, std::uint64_t bytes, std::uint64_t seed) const {
        std::vector<char> content(bytes);
        if (bytes > 0) patterned::fill(content.data(), bytes, seed);
        return file(name, std::string(content.data(), content.size()));
    }
    [[nodiscard]] std::string file(const std::string& name, const std::string& content) const {
        std::filesystem::remove(*this / name); // some file systems write a file at once that takes another's place
        std::ofstream out(*this / name, std::ios::binary);
        out.write(content.data(), static_cast<std::streamsize>(content.size()));
        out.close();
        if (!out) throw std::runtime_error("cannot write " + (*this / name));
        return *this / name;
    }
    /// All of a file.
    [[nodiscard]] static std::string read(const std::string& path) {
        std::ifstream in(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    }

private:
    std::string path_;
};
