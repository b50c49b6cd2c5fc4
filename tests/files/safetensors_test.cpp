// Safetensors files, right ones and hostile ones.
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <barelink/safetensors.hpp>

#include <support/catch.hpp>
#include <support/temporary_folder.hpp>

using namespace barelink;

namespace {

std::string little_endian(std::uint64_t number) {
    std::string bytes;
    for (int i = 0; i < 8; ++i) bytes += static_cast<char>(number >> (8 * i) & 0xff);
    return bytes;
}
/// A file with this header and so many bytes of data.
std::string with_header(const std::string& json, std::uint64_t data) {
    return little_endian(json.size()) + json + std::string(data, 'x');
}
std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape, std::uint64_t begin,
                   std::uint64_t end) {
    return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":[" +
           std::to_string(begin) + "," + std::to_string(end) + "]}";
}

struct box {
    temporary_folder folder;
    result<safetensors_file> read(const std::string& content) const {
        return read_safetensors(folder.file("m.safetensors", content).c_str());
    }
    /// Its error, which must name the file.
    std::string refused(const std::string& content) const {
        const auto read_one = read(content);
        REQUIRE_FALSE(read_one);
        CHECK(std::string(read_one.error().what()).find("m.safetensors") != std::string::npos);
        CHECK(read_one.error().code() == errc::parse);
        return read_one.error().what();
    }
};

bool says(const std::string& error, const char* what) {
    INFO(error << " should say " << what);
    CHECK(error.find(what) != std::string::npos);
    return true;
}

} // namespace

TEST_CASE("A right file is read: tensors by offset, metadata, shapes, padding") {
    const box b;
    const std::string json =
        "{" + tensor("second", "F32", "[2,3]", 12, 36) + "," + tensor("first", "BF16", "[6]", 0, 12) +
        ",\"__metadata__\":{\"format\":\"pt\",\"a\":\"b\"}," + tensor("none", "U8", "[0,7]", 36, 36) + "," +
        tensor("scalar", "F64", "[]", 36, 44) + "," + tensor("half", "F4", "[4]", 44, 46) + "}   ";
    const auto file = b.read(with_header(json, 46));
    REQUIRE(file);
    REQUIRE(file->tensors.size() == 5);
    CHECK(file->tensors[0].name == "first");
    CHECK(file->tensors[0].offset == 8 + json.size());
    CHECK(file->tensors[0].bytes == 12);
    CHECK(file->tensors[1].name == "second");
    CHECK(file->tensors[1].shape == std::vector<std::uint64_t>{2, 3});
    CHECK(file->tensors[1].dtype == "F32");
    CHECK(file->find("scalar")->bytes == 8);
    CHECK(file->find("none")->bytes == 0);
    CHECK(file->find("nobody") == nullptr);
    CHECK(file->metadata.size() == 2);
    CHECK(file->bytes == 8 + json.size() + 46);
    CHECK(b.read(with_header("{}", 0)));
}

TEST_CASE("Headers that lie about themselves are refused") {
    const box b;
    says(b.refused(""), "too short");
    says(b.refused("1234567"), "too short");
    says(b.refused(little_endian(100'000'001) + std::string(64, ' ')), "above 100 MB");
    says(b.refused(little_endian(~0ull) + "{}"), "above 100 MB");
    says(b.refused(little_endian(3) + "{}"), "beyond the file");
    says(b.refused(little_endian(0)), "does not begin with '{'");
    says(b.refused(with_header(" {}", 0)), "does not begin with '{'");
    says(b.refused(with_header("[]", 0)), "does not begin with '{'");
    says(b.refused(with_header("{", 0)), "broken JSON");
    says(b.refused(with_header("{} x", 0)), "broken JSON");
    says(b.refused(with_header("{}{}", 0)), "broken JSON");
    says(b.refused(with_header(std::string("{\"a\xff\":1}"), 0)), "not UTF-8");
    says(b.refused(with_header(std::string("{\"a\xc3\":1}"), 0)), "not UTF-8");
    says(b.refused(with_header("{\"\xed\xa0\x80\":1}", 0)), "not UTF-8"); // a surrogate
}

TEST_CASE("Values of the wrong kind, nested, doubled or missing are refused, and the tensor is named") {
    const box b;
    const auto entry = [&](const std::string& inside) { return with_header("{\"bad one\":" + inside + "}", 4); };
    for (const char* inside : {"5",
                               "null",
                               "true",
                               "[]",
                               "\"text\"",
                               "-1",
                               "{}",
                               "{\"dtype\":\"U8\"}",
                               "{\"dtype\":5}",
                               "{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}",
                               "{\"dtype\":\"U8\",\"shape\":[4],\"shape\":[4],\"data_offsets\":[0,4]}",
                               "{\"dtype\":\"U8\",\"shape\":4,\"data_offsets\":[0,4]}",
                               "{\"dtype\":\"U8\",\"shape\":[[4]],\"data_offsets\":[0,4]}",
                               "{\"dtype\":\"U8\",\"shape\":[\"4\"],\"data_offsets\":[0,4]}",
                               "{\"dtype\":\"U8\",\"shape\":[4.0],\"data_offsets\":[0,4]}",
                               "{\"dtype\":\"U8\",\"shape\":[-4],\"data_offsets\":[0,4]}",
                               "{\"dtype\":\"U8\",\"shape\":[{}],\"data_offsets\":[0,4]}",
                               "{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0]}",
                               "{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[]}",
                               "{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4,4]}",
                               "{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":4}",
                               "{\"dtype\":{},\"shape\":[4],\"data_offsets\":[0,4]}",
                               "{\"dtype\":[\"U8\"],\"shape\":[4],\"data_offsets\":[0,4]}",
                               "{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"more\":1}",
                               "{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":{\"a\":1}}",
                               "{\"dtype\":\"U8\",\"shape\":[99999999999999999999],\"data_offsets\":[0,4]}"}) {
        INFO(inside);
        says(b.refused(entry(inside)), "'bad one'");
    }
    says(b.refused(
             with_header("{" + tensor("two", "U8", "[2]", 0, 2) + "," + tensor("two", "U8", "[2]", 2, 4) + "}", 4)),
         "'two' is there twice");
    says(b.refused(with_header("{\"__metadata__\":{\"a\":1}}", 0)), "number");
    says(b.refused(with_header("{\"__metadata__\":{\"a\":{}}}", 0)), "nested");
    says(b.refused(with_header("{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}", 0)), "twice");
    says(b.refused(with_header("{\"__metadata__\":{},\"__metadata__\":{}}", 0)), "two __metadata__");
    says(b.refused(with_header("{\"__metadata__\":\"x\"}", 0)), "text");
    says(b.refused(with_header("{" + tensor("a\\u0000b", "U8", "[4]", 0, 4) + "}", 4)), "zero");
    // Deep nesting neither overflows a stack nor takes long.
    says(b.refused(with_header("{\"deep\":" + std::string(1'000'000, '['), 0)), "'deep'");
    says(b.refused(with_header("{\"deep\":" + std::string(1'000'000, '{'), 0)), "'deep'");
}

TEST_CASE("Tensors that do not fit their file or each other are refused, and named") {
    const box b;
    const auto two = [&](std::uint64_t a0, std::uint64_t a1, std::uint64_t b0, std::uint64_t b1, std::uint64_t data) {
        const auto shape = [](std::uint64_t x, std::uint64_t y) { return "[" + std::to_string(y - x) + "]"; };
        return with_header("{" + tensor("aa", "U8", shape(a0, a1), a0, a1) + "," +
                               tensor("bb", "U8", shape(b0, b1), b0, b1) + "}",
                           data);
    };
    CHECK(b.read(two(0, 4, 4, 8, 8)));
    says(b.refused(two(0, 4, 3, 8, 8)), "'bb' overlaps");
    says(b.refused(two(0, 8, 0, 8, 8)), "'bb' overlaps");
    says(b.refused(two(0, 4, 5, 8, 8)), "'bb' leaves a hole");
    says(b.refused(two(1, 4, 4, 8, 8)), "'aa' leaves a hole");
    says(b.refused(two(0, 4, 4, 9, 8)), "'bb' ends beyond the file");
    says(b.refused(two(0, 4, 4, 8, 9)), "belong to no tensor");
    says(b.refused(with_header("{" + tensor("aa", "U8", "[4]", 8, 4) + "}", 8)), "'aa' ends before it begins");
    says(b.refused(with_header("{" + tensor("aa", "U8", "[4]", 0, 18446744073709551615u) + "}", 8)), "beyond the file");
    says(b.refused(with_header("{" + tensor("aa", "BF16", "[4]", 0, 4) + "}", 4)), "not as large");
    says(b.refused(with_header("{" + tensor("aa", "F4", "[3]", 0, 2) + "}", 2)), "not as large");
    says(b.refused(with_header("{" + tensor("aa", "F128", "[4]", 0, 4) + "}", 4)), "unknown dtype 'F128'");
    says(b.refused(with_header("{" + tensor("aa", "U8", "[4294967296,4294967296]", 0, 0) + "}", 0)), "64 bits");
    says(b.refused(with_header("{" + tensor("aa", "F32", "[4611686018427387904]", 0, 0) + "}", 0)), "64 bits");
    // An overflow that would come out right by chance: 2^61 * 8 * 8 = 2^67, which is 0 in 64 bits.
    says(b.refused(with_header("{" + tensor("aa", "F64", "[2305843009213693952]", 0, 0) + "}", 0)), "64 bits");
}

TEST_CASE("Whatever bytes are changed, the answer is an error or a file whose tensors lie in it") {
    const box b;
    const std::string json = "{" + tensor("model.q", "F32", "[2,3]", 0, 24) + ",\"__metadata__\":{\"format\":\"pt\"}," +
                             tensor("model.k", "BF16", "[6]", 24, 36) + "," + tensor("s", "U8", "[]", 36, 37) + "}";
    const std::string right = with_header(json, 37);
    REQUIRE(b.read(right));
    std::uint64_t state = 12345, read = 0, refused = 0;
    const auto random = [&] {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return state >> 33;
    };
    constexpr const char alphabet[] = "{}[]\",:0123456789-.eE \\u\xff\xc3ntf";
    for (int i = 0; i < 6000; ++i) {
        std::string changed = right;
        for (std::uint64_t changes = 1 + random() % 3; changes > 0; --changes) {
            const std::uint64_t at = random() % changed.size();
            switch (random() % 5) {
            case 0: changed[at] = static_cast<char>(random()); break;
            case 1: changed[at] = alphabet[random() % (sizeof alphabet - 1)]; break;
            case 2: changed.erase(at, 1 + random() % 4); break;
            case 3: changed.insert(at, 1, alphabet[random() % (sizeof alphabet - 1)]); break;
            default: changed.resize(at); break;
            }
            if (changed.empty()) changed = "x";
            // Half of them with a length that fits, so that the parser sees them.
            if (changed.size() >= 8 && random() % 2 == 0) {
                const std::size_t end = changed.rfind("}");
                if (end != changed.npos && end >= 8) changed.replace(0, 8, little_endian(end + 1 - 8));
            }
        }
        const auto file = b.read(changed);
        if (!file) {
            ++refused;
            continue;
        }
        ++read;
        std::uint64_t end = 0, sum = 0;
        for (const safetensors_tensor& each : file->tensors) {
            REQUIRE(each.offset + each.bytes <= changed.size());
            if (end > 0) REQUIRE(each.offset == end);
            end = each.offset + each.bytes;
            sum += each.bytes;
        }
        REQUIRE(sum <= changed.size());
    }
    INFO(read << " read, " << refused << " refused");
    CHECK(refused > 3000);
    CHECK(read > 10);
}

TEST_CASE("A sharded model is read through its index, and the index is not trusted either") {
    const temporary_folder folder;
    (void)folder.file(
        "one.safetensors",
        with_header("{" + tensor("a", "U8", "[4]", 0, 4) + "," + tensor("b", "U8", "[4]", 4, 8) + "}", 8));
    (void)folder.file("two.safetensors", with_header("{" + tensor("c", "U8", "[4]", 0, 4) + "}", 4));
    (void)folder.file("cut.safetensors", with_header("{" + tensor("z", "U8", "[4]", 0, 4) + "}", 3));
    const auto index = [&](const std::string& json) {
        return read_safetensors_index(folder.file("model.safetensors.index.json", json).c_str());
    };
    const auto refused = [&](const std::string& json) {
        const auto got = index(json);
        INFO(json);
        REQUIRE_FALSE(got);
        return std::string(got.error().what());
    };
    const auto map = [](const std::string& inside) {
        return "{\"metadata\":{\"total_size\":12,\"x\":[1,{}]},\"weight_map\":{" + inside + "}}";
    };
    const auto files = index(map(R"("c":"two.safetensors","b":"one.safetensors","a":"one.safetensors")"));
    REQUIRE(files);
    REQUIRE(files->size() == 2);
    CHECK((*files)[0].tensors.size() == 2);
    CHECK((*files)[0].tensors[0].name == "a");
    CHECK((*files)[1].tensors[0].name == "c");
    CHECK(read_safetensors_model(folder.path().c_str()).value().size() == 2);
    CHECK(read_safetensors_model((folder / "two.safetensors").c_str()).value().size() == 1);
    // What the index does not name is left out.
    CHECK(index(map(R"("b":"one.safetensors")")).value()[0].tensors.size() == 1);

    says(refused(map(R"("a":"two.safetensors")")), "'a' is not there");
    says(refused(map(R"("a":"missing.safetensors")")), "missing.safetensors");
    says(refused(map(R"("z":"cut.safetensors")")), "cut.safetensors");
    for (const char* path : {"../x.safetensors", "/etc/passwd", "a/../../b", "sub/one.safetensors", "..", ".", "",
                             "a\\\\b", "one.safetensors\\u0000"})
        says(refused(map(std::string("\"a\":\"") + path + "\"")), "outside its folder");
    says(refused(map(R"("a":"one.safetensors","a":"one.safetensors")")), "twice");
    says(refused(map(R"("a":"one.safetensors","a":"two.safetensors")")), "twice");
    says(refused(map(R"("a":5)")), "weight_map");
    says(refused(map(R"("a":{})")), "weight_map");
    says(refused(map(R"("a":["one.safetensors"])")), "object");
    says(refused("{}"), "no weight_map");
    says(refused("{\"weight_map\":5}"), "weight_map");
    says(refused("[]"), "object");
    says(refused("5"), "weight_map");
    says(refused("{\"weight_map\":{},\"weight_map\":{}}"), "two weight_map");
    says(refused("{\"weight_map\":{\"a\xff\":\"one.safetensors\"}}"), "UTF-8");
    CHECK_FALSE(read_safetensors_index((folder / "nowhere.json").c_str()));
    CHECK(read_safetensors((folder / "nowhere.safetensors").c_str()).error().code() == errc::not_found);
    CHECK(read_safetensors(folder.path().c_str()).error().code() == errc::io);
    CHECK(read_safetensors("").error().code() == errc::invalid_argument);
}
