// A machine given to a child: in memory that has a descriptor and no name, so that it needs no folder to write to.
#pragma once

#include <cerrno>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include <barelink/machine/hwloc.hpp>
#include <barelink/machine/machine.hpp>

namespace tool {

/// The machine's file, for children: they inherit the descriptor. Closed with the object.
class machine_handover {
public:
    /// `xml` as `detail::machine_xml` writes it. Without memory for it `number()` is -1.
    explicit machine_handover(const std::string& xml) : number_(::memfd_create("barelink-machine", 0)) {
        for (std::size_t done = 0; number_ >= 0 && done < xml.size();) {
            const ssize_t wrote = ::write(number_, xml.data() + done, xml.size() - done);
            if (wrote > 0) {
                done += static_cast<std::size_t>(wrote);
            } else if (errno != EINTR) {
                ::close(number_);
                number_ = -1;
            }
        }
    }
    machine_handover(const machine_handover&) = delete;
    machine_handover& operator=(const machine_handover&) = delete;
    ~machine_handover() {
        if (number_ >= 0) ::close(number_);
    }
    [[nodiscard]] int number() const noexcept { return number_; }

    /// In the child. Errors: io, and those of reading a machine file.
    [[nodiscard]] static barelink::result<barelink::machine> take(int number) {
        std::string xml;
        char block[65536];
        for (;;) {
            const ssize_t got = ::pread(number, block, sizeof block, static_cast<off_t>(xml.size()));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return barelink::error(barelink::errc::io, "the machine was not handed over");
            if (got == 0) break;
            xml.append(block, static_cast<std::size_t>(got));
        }
        return barelink::read_hwloc_xml_buffer(xml.data(), xml.size(), "the machine handed over");
    }

private:
    int number_;
};

} // namespace tool
