// What a check looks at: the system, the machine, and what was read when the run began.
#pragma once

#include <vector>

#include <barelink/machine/machine.hpp>
#include <barelink/measure/checks/cpu_accounts.hpp>
#include <barelink/measure/checks/hypervisor.hpp>
#include <barelink/measure/doctor_checks.hpp>
#include <barelink/measure/system_view.hpp>

BARELINK_BEGIN_NAMESPACE

/// Borrows the view's context and the machine. Made when a run begins: stolen time and throttling are counted from there.
struct doctor_scene {
    system_view system;
    const machine* on;
    virtualization under;
    result<cpu_account> cpu_before;
    result<quota_account> quota_before;

    doctor_scene(const system_view& seen, const machine& m)
        : system(seen), on(&m), under(read_virtualization(seen)), cpu_before(read_cpu_account(seen)),
          quota_before(read_quota_account(seen)) {}
};

using findings = std::vector<finding>;
using check_function = findings (*)(const doctor_scene&);

BARELINK_END_NAMESPACE
