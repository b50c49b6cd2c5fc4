#include <barelink/barelink.hpp>

#include <cstdio>

double plan_in_another_unit(const barelink::machine& m);
double plan_without_exceptions();

int main() {
    const barelink::machine m = barelink::builtin::find("hgx-h100-8").value();
    const double here = plan_in_another_unit(m);
    const double there = plan_without_exceptions();
    std::printf("%.3f GB/s and %.3f GB/s\n", here, there);
    return here > 50 && here == there ? 0 : 1;
}
