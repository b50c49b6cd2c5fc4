// Loads a model's safetensors files into one or more GPUs, straight from the disk through a small ring of pinned memory:
//   load_weights model.safetensors | model.safetensors.index.json | FOLDER [--gpus 0,1,2,3]
// Tensors are split over the GPUs as tensor parallelism does: by rows where the result is split (q, k, v, up and gate
// projections), by columns where the sum is over what is split (o and down projections), and whole everywhere else. Each
// part is read back and its hash compared with the file's. Without a file it makes a small one of its own.
#include <barelink/machine/live.hpp>
#include <barelink/move/cuda.hpp>
#include <barelink/move/file.hpp>
#include <barelink/safetensors.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace {

enum class split { none, rows, columns };

split rule(const barelink::safetensors_tensor& t, std::uint64_t gpus) {
    const auto named = [&](const char* part) { return t.name.find(part) != std::string::npos; };
    if (t.shape.size() != 2 || t.bytes == 0) return split::none;
    const bool rows = named("q_proj") || named("k_proj") || named("v_proj") || named("up_proj") || named("gate_proj");
    const bool columns = named("o_proj") || named("down_proj");
    if (rows && t.shape[0] % gpus == 0) return split::rows;
    return columns && t.bytes / t.shape[0] % gpus == 0 && t.shape[1] % gpus == 0 ? split::columns : split::none;
}

/// The part of a tensor that GPU number `k` of `n` gets; `memory` is filled in later.
barelink::file_range shard(const barelink::safetensors_tensor& t, const barelink::source_file& file, std::uint64_t k,
                           std::uint64_t n) {
    const split how = rule(t, n);
    if (how == split::rows) return {&file, t.offset + t.bytes / n * k, t.bytes / n, nullptr};
    barelink::file_range whole{&file, t.offset, t.bytes, nullptr};
    const std::uint64_t row = how == split::columns ? t.bytes / t.shape[0] : 0;
    if (row > 0) whole.rows = {row, row / n * k, row / n, 0};
    return whole;
}
std::uint64_t bytes_of(const barelink::file_range& r) {
    return r.rows.row_bytes > 0 ? r.bytes / r.rows.row_bytes * r.rows.bytes : r.bytes;
}

/// Hashes of a part as it is in the file, read in the ordinary way, and as it is on the GPU.
std::size_t hash_in_file(const barelink::file_range& r) {
    std::ifstream in(r.file->path(), std::ios::binary);
    const std::uint64_t rows = r.rows.row_bytes > 0 ? r.bytes / r.rows.row_bytes : 1, wanted = bytes_of(r) / rows;
    std::string bytes(bytes_of(r), '\0');
    for (std::uint64_t row = 0; row < rows; ++row) {
        in.seekg(static_cast<std::streamoff>(r.offset + row * r.rows.row_bytes + r.rows.offset));
        in.read(bytes.data() + row * wanted, static_cast<std::streamsize>(wanted));
    }
    return std::hash<std::string>{}(bytes);
}
std::size_t hash_on_gpu(const barelink::file_range& r) {
    std::string bytes(bytes_of(r), '\0');
    if (cudaMemcpy(bytes.data(), r.memory, bytes.size(), cudaMemcpyDeviceToHost) != cudaSuccess) bytes.clear();
    return std::hash<std::string>{}(bytes);
}

std::string make_a_model() {
    std::string path =
        (std::filesystem::temp_directory_path() / ("barelink-" + std::to_string(::getpid()) + ".safetensors")).string();
    const std::string header = R"({"q_proj":{"dtype":"BF16","shape":[1024,1024],"data_offsets":[0,2097152]},)"
                               R"("down_proj":{"dtype":"BF16","shape":[1024,4096],"data_offsets":[2097152,10485760]},)"
                               R"("norm":{"dtype":"BF16","shape":[1024],"data_offsets":[10485760,10487808]}})";
    std::string data;
    data.resize(10487808);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 31 + i / 4096);
    std::ofstream out(path, std::ios::binary);
    for (int i = 0; i < 8; ++i) out.put(static_cast<char>(header.size() >> 8 * i & 0xff)); // little-endian
    out << header << data;
    return path;
}

} // namespace

int main(int argc, char** argv) try {
    std::string model;
    std::vector<int> gpus;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--gpus") != 0)
            model = argv[i];
        else if (++i < argc)
            for (char* at = argv[i]; *at; at += *at == ',' ? 1 : 0)
                gpus.push_back(static_cast<int>(std::strtol(at, &at, 10)));
    }
    if (gpus.empty()) gpus = {0};
    const bool made = model.empty();
    if (made) model = make_a_model();

    barelink::cuda::runtime cuda(barelink::live_machine().value());
    const barelink::machine& m = cuda.topology();
    const auto shards = barelink::read_safetensors_model(model.c_str()).value(); // trusts nothing in the files
    std::vector<barelink::source_file> files;
    files.reserve(shards.size());
    for (const auto& each : shards) files.push_back(barelink::source_file::open(each.path.c_str()).value());
    std::vector<barelink::file_range> ranges;
    std::vector<std::uint64_t> on_gpu(gpus.size());
    for (std::size_t k = 0; k < gpus.size(); ++k) {
        const std::size_t first = ranges.size();
        for (std::size_t f = 0; f < files.size(); ++f)
            for (const auto& t : shards[f].tensors) {
                ranges.push_back(shard(t, files[f], k, gpus.size()));
                on_gpu[k] += (bytes_of(ranges.back()) + 255) / 256 * 256;
            }
        const barelink::node_index gpu = m.gpu(barelink::gpu_id{gpus[k]});
        if (gpu == barelink::no_node) return std::fprintf(stderr, "load_weights: there is no gpu:%d\n", gpus[k]), 1;
        char* memory = static_cast<char*>(cuda.allocate(gpu, on_gpu[k] + 256).value());
        for (std::size_t i = first; i < ranges.size(); ++i) {
            ranges[i].memory = memory;
            memory += (bytes_of(ranges[i]) + 255) / 256 * 256;
        }
    }
    barelink::file_mover mover(cuda);
    const auto begin = std::chrono::steady_clock::now();
    const auto job = mover.load(ranges, cuda.make_stream(m.gpu(barelink::gpu_id{gpus[0]})).value()).value();
    for (int percent = -1; ::isatty(STDERR_FILENO) == 1 && !job.poll().value();) {
        const barelink::file_progress now = job.progress();
        const int reached = static_cast<int>(100 * now.arrived / std::max<std::uint64_t>(now.total, 1));
        if (reached != percent)
            std::fprintf(stderr, "\r%3d %% [%-50s]", reached,
                         std::string(static_cast<std::size_t>(reached) / 2, '#').c_str());
        percent = reached;
    }
    job.wait().value(); // throws for whatever is not there
    const double us = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();

    const barelink::file_progress done = job.progress();
    const auto rate = [&](std::uint64_t bytes) { return barelink::rate_gb_s(static_cast<double>(bytes), us); };
    for (const std::string& said : job.notes()) std::printf("note: %s\n", said.c_str());
    for (std::size_t k = 0; k < gpus.size(); ++k)
        std::printf("gpu:%d: %.2f GB/s over its link\n", gpus[k], rate(on_gpu[k]));
    std::printf("%.1f MB at %.2f GB/s from the disk, %.0f MiB of pinned memory\n",
                static_cast<double>(done.file_bytes) * 1e-6, rate(done.file_bytes),
                static_cast<double>(mover.ring_bytes()) / (1 << 20));
    // Who is waited for while the other has nothing to do is the limit.
    std::printf("the limit is the %s: waited %.1f ms for storage, %.1f ms for links\n",
                done.storage_us >= done.link_us ? "storage" : "link", done.storage_us * 1e-3, done.link_us * 1e-3);
    for (const auto& each : ranges)
        if (hash_on_gpu(each) != hash_in_file(each)) return std::fprintf(stderr, "load_weights: wrong bytes\n"), 1;
    std::printf("%zu tensors and parts of tensors: all hashes agree\n", ranges.size());
    if (made) std::filesystem::remove(model);
} catch (const barelink::error& failed) {
    std::fprintf(stderr, "load_weights: %s\n", failed.what());
    return 1;
}
