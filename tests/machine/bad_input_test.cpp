// Files that are no machine: one clear error each, with the file's name and what to do; never a crash, never a long
// wait.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <barelink/machine/read.hpp>

#include "../support/captures.hpp"
#include "../support/catch.hpp"

using namespace barelink;

// hwloc forgets some of what it allocated when it refuses a file.
#if defined(__SANITIZE_ADDRESS__)
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
    return "leak:libhwloc";
}
#endif

namespace {

struct refused {
    errc code;
    std::string said;
};

/// Reads bytes through every reader; all must refuse. Returns what sniffing said.
refused refuse(const std::string& bytes) {
    const auto start = std::chrono::steady_clock::now();
    const result<machine_format> sniffed = sniff_machine_format(bytes.data(), bytes.size(), "bad.xml");
    const result<machine> hwloc = read_hwloc_xml_buffer(bytes.data(), bytes.size(), "bad.xml");
    const result<machine> nccl = read_nccl_xml_buffer(bytes.data(), bytes.size(), "bad.xml");
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
    REQUIRE_FALSE(hwloc);
    REQUIRE_FALSE(nccl);
    const error failure = sniffed ? hwloc.error() : sniffed.error();
    INFO(failure.what());
    CHECK(std::string(failure.what()).find("bad.xml") == 0);
    CHECK(std::string(failure.what()).find('\n') == std::string::npos);
    CHECK(failure.object() == std::string("bad.xml"));
    return {failure.code(), failure.what()};
}

bool says(const refused& failure, const char* what) {
    INFO(failure.said);
    return failure.said.find(what) != std::string::npos;
}

std::string repeated(const std::string& what, std::size_t times) {
    std::string all;
    all.reserve(what.size() * times);
    for (std::size_t i = 0; i < times; ++i) all += what;
    return all;
}

/// A hwloc document around one piece of XML in the root object.
std::string hwloc_around(const std::string& inside, const std::string& after = "") {
    return R"(<topology version="2.0"><object type="Machine" os_index="0" cpuset="0x1" complete_cpuset="0x1" allowed_cpuset="0x1"
        nodeset="0x1" complete_nodeset="0x1" allowed_nodeset="0x1" gp_index="1"><object type="NUMANode" os_index="0" cpuset="0x1"
        complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1" gp_index="2" local_memory="1000"/><object type="PU" os_index="0"
        cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1" gp_index="3"/>)" +
           inside + "</object>" + after + "</topology>";
}

} // namespace

TEST_CASE("what is no XML is refused", "[machine][bad]") {
    CHECK(says(refuse(""), "is empty"));
    CHECK(says(refuse("  \n\t"), "is empty"));
    CHECK(says(refuse("hello"), "is not XML"));
    CHECK(says(refuse("{\"machine\": 1}"), "is not XML"));
    CHECK(says(refuse(std::string("\x7f"
                                  "ELF\x02\x01\x00\x00",
                                  8)),
               "is not XML"));
    CHECK(says(refuse(std::string("<\0\0\0", 4)), "is not XML"));
    CHECK(says(refuse("<topology version=\"2.0\">\x01</topology>"), "binary"));
    CHECK(says(refuse(std::string("\xff\xfe<\0t\0", 6)), "is not XML"));
    CHECK(says(refuse("<html><body/></html>"), "neither <topology>"));
    CHECK(says(refuse("<!-- only a comment -->"), "no element"));
    CHECK(says(refuse("<topology version=2.0></topology>"), "no quotes"));
    CHECK(says(refuse("<topology version=\"2.0\"><object></topology>"), "damaged"));
    CHECK(says(refuse("<topology version=\"2.0\"></topology><system/>"), "second document"));
    CHECK(says(refuse(hwloc_around("some text")), "text between its elements"));
    CHECK(says(refuse("<topology version=\"two\"></topology>"), "not a number"));
    CHECK(says(refuse("<topology version=\"2.0\"></topology>"), "no root object"));
    CHECK(says(refuse(hwloc_around("<nonsense/>")), "does not accept"));
}

TEST_CASE("other hwloc formats are named, with the way out", "[machine][bad]") {
    const refused three =
        refuse("<?xml version=\"1.0\"?><topology version=\"3.0\"><object type=\"Machine\"/></topology>");
    CHECK(three.code == errc::unsupported);
    CHECK(says(three, "format 3"));
    CHECK(says(three, "--export-xml-flags v2"));
    CHECK(refuse("<root><object type=\"System\"/></root>").code == errc::unsupported);
}

TEST_CASE("each reader names the other's files", "[machine][bad]") {
    const std::string nccl = "<system version=\"1\"><cpu numaid=\"0\"/></system>", hwloc = hwloc_around("");
    CHECK(read_nccl_xml_buffer(nccl.data(), nccl.size(), "n.xml"));
    CHECK(read_hwloc_xml_buffer(hwloc.data(), hwloc.size(), "h.xml"));
    CHECK(std::string(read_hwloc_xml_buffer(nccl.data(), nccl.size(), "n.xml").error().what()).find("read_nccl_xml") !=
          std::string::npos);
    CHECK(
        std::string(read_nccl_xml_buffer(hwloc.data(), hwloc.size(), "h.xml").error().what()).find("read_hwloc_xml") !=
        std::string::npos);
    const std::string empty = "<system version=\"1\"/>";
    CHECK(std::string(read_nccl_xml_buffer(empty.data(), empty.size(), "e.xml").error().what()).find("no <cpu>") !=
          std::string::npos);
}

TEST_CASE("entity bombs are refused before any parser sees them", "[machine][bad]") {
    const std::string bomb =
        "<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">"
        "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">]><topology version=\"2.0\"><info name=\"&c;\" "
        "value=\"&c;\"/></topology>";
    CHECK(says(refuse(bomb), "entities"));
    CHECK(says(refuse("<system version=\"1\"><cpu numaid=\"&xxe;\"/></system>"), "does not define"));
    CHECK(says(refuse("<system version=\"1\">&boom;</system>"), "entity"));
    CHECK(says(refuse("<system version=\"1\"><cpu numaid=\"&#zz;\"/></system>"), "does not define"));
    CHECK(says(refuse("<topology version=\"2.0\"><![CDATA[x]]></topology>"), "CDATA"));
    CHECK(says(refuse("<!DOCTYPE topology SYSTEM \"hwloc2.dtd\""), "cut off"));
}

TEST_CASE("nesting, numbers and sizes beyond any server are refused", "[machine][bad]") {
    const std::size_t deep = 100000;
    CHECK(says(refuse("<topology version=\"2.0\">" + repeated("<x>", deep) + repeated("</x>", deep) + "</topology>"),
               "nests deeper"));
    CHECK(says(refuse("<system version=\"1\"><cpu numaid=\"0\">" +
                      repeated("<pci busid=\"0000:01:00.0\" class=\"0x060400\">", deep)),
               "nests deeper"));
    CHECK(says(refuse(hwloc_around(repeated("<object type=\"Misc\" gp_index=\"9\"/>", 40000))), "32768 objects"));
    CHECK(says(refuse(hwloc_around("", repeated("<x/>", 1000001))), "a million elements"));
    for (const char* many : {"99999999999", "4294967295", "-1", "1e9"})
        CHECK(says(
            refuse(hwloc_around("", std::string("<distances2 type=\"NUMANode\" nbobjs=\"") + many + "\" kind=\"5\"/>")),
            "distance matrix"));
    CHECK(says(refuse(hwloc_around("<object type=\"PU\" os_index=\"4294967294\" cpuset=\"0x1\"/>")), "above 65535"));
    CHECK(says(refuse(hwloc_around("<object type=\"NUMANode\" os_index=\"99999999999\" cpuset=\"0x1\"/>")),
               "above 65535"));
    CHECK(says(refuse(hwloc_around("<object type=\"Group\" cpuset=\"" + repeated("0xffffffff,", 20000) + "\"/>")),
               "CPU or NUMA set"));
    CHECK(says(refuse(hwloc_around("<info name=\"x\" value=\"" + std::string(1100000, 'x') + "\"/>")), "1 MiB"));
    CHECK(says(refuse("<topology>" + std::string(std::size_t{65} << 20, ' ')), "64 MiB"));
}

TEST_CASE("objects that do not fit together never reach hwloc, which would crash", "[machine][bad]") {
    const auto changed = [](const std::string& from, const std::string& to) {
        std::string bad = test::contents(test::fixture("two-l4-one-switch.hwloc.xml"));
        const std::size_t at = bad.find(from);
        REQUIRE(at != std::string::npos);
        return refuse(bad.replace(at, from.size(), to));
    };
    CHECK(says(changed("type=\"Machine\"", "type=\"NUMANode\""), "no machine"));
    CHECK(says(changed("type=\"Package\"", "type=\"Machine\""), "below one that cannot hold it"));
    CHECK(says(changed("type=\"Package\"", "type=\"Bridge\""), "device with a CPU or NUMA set"));
    CHECK(says(changed("type=\"Package\"", "type=\"PU\""), "not the one of its number"));
    CHECK(says(changed("type=\"Package\"", "type=\"Sausage\""), "type that is not known"));
    CHECK(says(changed("type=\"Package\" ", ""), "without a type"));
    CHECK(says(
        changed("complete_cpuset=\"0x00000003\" nodeset=\"0x00000009\" complete_nodeset=\"0x00000009\" gp_index=\"2\"",
                "gp_index=\"2\""),
        "without a CPU set"));
    CHECK(says(changed("nodeset=\"0x00000009\" complete_nodeset=\"0x00000009\" gp_index=\"2\"", "gp_index=\"2\""),
               "without a NUMA set"));
    CHECK(says(changed("cpuset=\"0x00000003\" complete_cpuset=\"0x00000003\" allowed",
                       "cpuset=\"0x7\" complete_cpuset=\"0x3\" allowed"),
               "contradict each other"));
    CHECK(says(changed("cpuset=\"0x00000003\"", "cpuset=\"0xf...f\""), "set that is none"));
    CHECK(says(changed("type=\"Group\" cpuset=\"0x00000002\" complete_cpuset=\"0x00000002\"",
                       "type=\"Group\" cpuset=\"0x00000006\" complete_cpuset=\"0x00000006\""),
               "beyond its parent"));
    CHECK(says(changed("type=\"Group\" cpuset=\"0x00000002\" complete_cpuset=\"0x00000002\"",
                       "type=\"Group\" cpuset=\"0x00000001\" complete_cpuset=\"0x00000001\""),
               "share CPUs"));
    CHECK(says(changed("bridge_type=\"1-1\"", "bridge_type=\"8-1\""), "bridge of a type"));
    CHECK(says(changed("osdev_type=\"3\"", "osdev_type=\"-3\""), "device of a type"));
    CHECK(says(changed("type=\"NUMANode\" os_index=\"3\"", "type=\"NUMANode\" os_index=\"0\""),
               "NUMA node that is not the one"));
    CHECK(says(changed("type=\"PU\" os_index=\"1\"", "type=\"PU\" os_index=\"0\""), "CPU that is not the one"));
}

TEST_CASE("more devices than a server has are refused, not waited for", "[machine][bad]") {
    std::string many = "<system version=\"1\"><cpu numaid=\"0\">";
    for (int i = 0; i < 20000; ++i)
        many += "<pci busid=\"" + std::string(i % 2 ? "0000" : "0001") +
                ":01:00.0\" class=\"0x030200\" vendor=\"0x10de\" device=\"0x2330\"><gpu dev=\"" + std::to_string(i) +
                "\"/></pci>";
    many += "</cpu></system>";
    const result<machine> read = read_nccl_xml_buffer(many.data(), many.size(), "bad.xml");
    REQUIRE_FALSE(read);
    CHECK(read.error().code() == errc::unsupported);
    CHECK(std::string(read.error().what()).find("more than one server") != std::string::npos);
}

TEST_CASE("paths that are no files are one error each", "[machine][bad]") {
    const test::temporary_folder folder;
    for (const auto read :
         {+[](const char* path) { return read_hwloc_xml(path); }, +[](const char* path) { return read_nccl_xml(path); },
          +[](const char* path) { return read_machine_file(path); }}) {
        const result<machine> missing = read((folder / "missing.xml").c_str());
        REQUIRE_FALSE(missing);
        CHECK(missing.error().code() == errc::not_found);
        CHECK(std::string(missing.error().what()).find("missing.xml") != std::string::npos);
        const result<machine> directory = read(folder.path().c_str());
        REQUIRE_FALSE(directory);
        CHECK(directory.error().code() == errc::io);
        CHECK(std::string(directory.error().what()).find("is a directory") != std::string::npos);
        CHECK(read("").error().code() == errc::invalid_argument);
        CHECK(read(static_cast<const char*>(nullptr)).error().code() == errc::invalid_argument);
        CHECK(std::string(read("/dev/zero").error().what()).find("64 MiB") != std::string::npos);
    }
}

TEST_CASE("every file cut off anywhere is an error or a machine, never more", "[machine][bad]") {
    for (const char* name : {"two-l4-one-switch.hwloc.xml", "traps.nccl.xml"}) {
        const std::string whole = test::contents(test::fixture(name));
        REQUIRE(whole.size() > 1000);
        const std::size_t last = whole.rfind('>');
        for (std::size_t size = 0; size < last; size += 7) {
            const std::string part = whole.substr(0, size);
            CHECK_FALSE(read_hwloc_xml_buffer(part.data(), part.size(), name));
            CHECK_FALSE(read_nccl_xml_buffer(part.data(), part.size(), name));
        }
    }
}

TEST_CASE("files with bytes changed at random never crash a reader", "[machine][bad]") {
    std::mt19937 random(20240917);
    const char interesting[] = "\0<>/\"&=0129f-. x\xff";
    for (const char* name : {"two-l4-one-switch.hwloc.xml", "traps.nccl.xml", "hint-4xa100.nccl.xml"}) {
        const std::string whole = test::contents(test::fixture(name));
        REQUIRE_FALSE(whole.empty());
        for (int round = 0; round < 300; ++round) {
            std::string bytes = whole;
            for (unsigned change = 0, changes = 1 + random() % 4; change < changes; ++change)
                bytes[random() % bytes.size()] = interesting[random() % (sizeof interesting - 1)];
            if (random() % 4 == 0) bytes.erase(random() % bytes.size(), random() % 60);
            const result<machine> hwloc = read_hwloc_xml_buffer(bytes.data(), bytes.size(), name);
            const result<machine> nccl = read_nccl_xml_buffer(bytes.data(), bytes.size(), name);
            CHECK_FALSE((hwloc && nccl));
        }
    }
}
