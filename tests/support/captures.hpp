// Where test data lies: the project's own fixtures, and the folder of captured machines, which is not part of the
// project.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace test {

/// Path of one of the project's fixtures. CMake may define BARELINK_FIXTURES; else they are beside this file.
inline std::string fixture(const std::string& name) {
#ifdef BARELINK_FIXTURES
    return std::string(BARELINK_FIXTURES) + "/" + name;
#else
    return (std::filesystem::path(__FILE__).parent_path().parent_path() / "fixtures" / name).string();
#endif
}

/// The folder of captures: the environment's BARELINK_CAPTURES, else CMake's; empty when there is none.
inline std::string captures() {
    std::string folder;
    if (const char* named = std::getenv("BARELINK_CAPTURES")) folder = named;
#ifdef BARELINK_CAPTURES
    if (folder.empty()) folder = BARELINK_CAPTURES;
#endif
    return !folder.empty() && std::filesystem::is_directory(folder) ? folder : std::string();
}

inline std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// A path in a fresh temporary folder, which goes away with this.
class temporary_folder {
public:
    temporary_folder() {
        std::string name = (std::filesystem::temp_directory_path() / "barelink-test-XXXXXX").string();
        if (::mkdtemp(name.data())) path_ = name;
    }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;
    ~temporary_folder() {
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::string operator/(const std::string& name) const { return (path_ / name).string(); }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

} // namespace test
