// The bits that tests/golden/networks.txt has, by every ISA of this build that runs here: float networks by the family of the ISA,
// quantised ones the same by all; alone and in a team. Names the file; `--write` behind it prints it with the lines of this CPU.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <iostream>

#include "../../../native/dispatch.h"
#include "../../../native/engine/engine.h"
#include "../isas.h"
#include "golden.h"

// FNV-1a of 32 bits.
static void digest(uint32_t& hash, const std::vector<float>& values) {
  for (float value : values) {
    uint8_t bytes[4];
    std::memcpy(bytes, &value, 4);
    for (uint8_t byte : bytes) hash = (hash ^ byte) * 16777619u;
  }
}

static std::string hex(uint32_t bits) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", bits);
  return text;
}

// The digest of all maps, the embedding and the logits, and the bits of the last of these.
static std::string results(lcnet::AnyEngine& engine, const Golden& g) {
  const lcnet::Interface net = engine.interface();
  std::vector<std::vector<float>> maps;
  std::vector<float*> wanted;
  for (size_t f = 0; f < net.feature_maps; ++f) {
    const auto [c, h, w] = engine.feature_map(f, g.height, g.width);
    wanted.push_back(maps.emplace_back(c * h * w).data());
  }
  std::vector<float> embedding(net.embedding), logits(net.classes);
  lcnet::Outputs out;
  out.maps = wanted.data(), out.embedding = embedding.data(), out.logits = net.classes ? logits.data() : nullptr;
  const std::vector<float> x = golden_pixels(g);
  engine.run(x.data(), 1, g.height, g.width, out);
  uint32_t hash = 2166136261u;
  for (const auto& map : maps) digest(hash, map);
  digest(hash, embedding), digest(hash, logits);
  std::string line = hex(hash);
  for (float value : net.classes ? logits : embedding) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    line += " " + hex(bits);
  }
  return line;
}

static std::string float_results(const lcnet::Kernels& kernels, const Golden& g, size_t threads) {
  const GoldenFloat weights(g);
  lcnet::Engine engine(lcnet::Network(kernels, weights.source), threads);
  return results(engine, g);
}

static std::string int8_results(const lcnet::Kernels& kernels, const Golden& g, size_t threads) {
  const GoldenInt8 weights(g);
  lcnet::Int8Engine engine(lcnet::Int8Network(*kernels.int8, weights.source, lcnet::float_kernels(*kernels.int8)), threads);
  return results(engine, g);
}

static void check(const std::string& found, const Golden& g, size_t family, const char* isa) {
  const std::string line = std::string(kFamilies[family]) + " " + found;
  if (line == g.expected[family]) return;
  std::printf("%s, network %s: \n%s\nexpected\n%s\n", isa, g.made.name.c_str(), line.c_str(), g.expected[family].c_str());
  std::exit(1);
}

static void check_all(const lcnet::Kernels& kernels, const std::list<Golden>& all) {
  for (const Golden& g : all)
    for (size_t threads : {1, 2}) {
      check(float_results(kernels, g, threads), g, !kernels.fused, kernels.isa);
      check(int8_results(kernels, g, threads), g, 2, kernels.isa);
    }
  std::printf("%s: the golden bits, of the family '%s' and int8\n", kernels.isa, kFamilies[!kernels.fused]);
}

static bool is_result(const std::string& line) {
  for (const char* family : kFamilies)
    if (line.rfind(family + std::string(" "), 0) == 0) return true;
  return false;
}

// The file without its results, and with them before the line that ends a network.
static void write(std::istream& file, const std::list<Golden>& all) {
  auto g = all.begin();
  for (std::string line; std::getline(file, line);) {
    if (line == "end") {
      const lcnet::Kernels &fused = lcnet::select_kernels(""), &plain = lcnet::select_kernels("scalar");
      std::cout << "fma " << float_results(fused, *g, 1) << "\nplain " << float_results(plain, *g, 1) << "\nint8 "
                << int8_results(plain, *g, 1) << "\n";
      ++g;
    }
    if (!is_result(line)) std::cout << line << "\n";
  }
}

int main(int argc, char** argv) {
  if (argc < 2) return std::printf("name tests/golden/networks.txt\n"), 2;
  std::ifstream file(argv[1]), again(argv[1]);
  const std::list<Golden> all = read_golden(file);
  if (all.empty()) return std::printf("%s has no networks\n", argv[1]), 2;
  if (argc > 2) return write(again, all), 0;
  for (const lcnet::Isa& isa : lcnet::isas())
    if (runs_here(isa)) check_all(*isa.kernels, all);
}
