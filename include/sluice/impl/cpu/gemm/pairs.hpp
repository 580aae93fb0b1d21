// Products of bf16 by the processor's own instructions, which add two products at a time to a sum in f32 and take denormals
// for zeros: AVX512-BF16, and AMX where there is a unit for whole tiles. levels.hpp includes this after vectors.hpp and
// tile.hpp, in a namespace whose fma() takes pairs: an "element" of a panel is two bf16 that follow each other along k.

inline constexpr std::int64_t tile_steps = 16;  // of pairs, in an AMX tile
inline constexpr std::int64_t tile_lines = 16;
inline constexpr std::int64_t amx_rows = 2 * tile_lines;  // of a panel of a: two tiles, one after the other

// `count` of 32 elements, as 16 pairs; the others are 0.
SLUICE_INLINE vec<float> load_pairs(const bf16* p, std::int64_t count) {
  const auto present = static_cast<__mmask32>(count >= 32 ? 0xffffffffu : (1u << std::max<std::int64_t>(count, 0)) - 1);
  return (vec<float>)_mm512_castsi512_ps(_mm512_maskz_loadu_epi16(present, p));
}

// Lines contiguous along k.
SLUICE_TARGET inline void pack_pairs_transposed(const packing<bf16>& p, const bf16* from, std::int64_t available,
                                                std::int64_t width, std::int64_t steps, float* to) {
  for (std::int64_t d = 0; d < steps; d += tile_steps) {
    const std::int64_t some = std::min(tile_steps, steps - d);
    for (std::int64_t line = (width - 1) / tile_steps * tile_steps; line >= 0; line -= tile_steps) {
      vec<float> x[tile_steps];
      SLUICE_UNROLL
      for (int i = 0; i < tile_steps; ++i)
        x[i] = load_pairs(from + std::min(line + i, available - 1) * p.line_stride + 2 * d, p.depth - 2 * d);
      transpose<float>(x);
      for (int i = 0; i < some; ++i) store(to + (d + i) * width + line, x[i]);
    }
  }
}

// `count` of 16 elements, in the lower halves of the lanes; the others are 0.
SLUICE_INLINE vec<std::int32_t> load_halves(const bf16* p, std::int64_t count) {
  const auto present = static_cast<__mmask16>(count >= 16 ? 0xffffu : (1u << std::max<std::int64_t>(count, 0)) - 1);
  return (vec<std::int32_t>)_mm512_maskz_cvtepu16_epi32(0xffff, _mm256_maskz_loadu_epi16(present, p));
}

// Lines side by side in memory: two steps of k are interleaved.
SLUICE_TARGET inline void pack_pairs_straight(const packing<bf16>& p, const bf16* from, std::int64_t available,
                                              std::int64_t width, std::int64_t steps, float* to) {
  for (std::int64_t d = 0; d < steps; ++d)
    for (std::int64_t line = 0; line < width; line += tile_lines) {
      const std::int64_t first = 2 * d < p.depth ? available - line : 0;
      const std::int64_t second = 2 * d + 1 < p.depth ? available - line : 0;
      const bf16* at = from + 2 * d * p.step_stride + line;
      const auto pairs = load_halves(at, first) | load_halves(second > 0 ? at + p.step_stride : at, second) << 16;
      store(to + d * width + line, (vec<float>)pairs);
    }
}

inline float pair_of(const packing<bf16>& p, const bf16* from, std::int64_t line, std::int64_t d) {
  const auto bits = [&](std::int64_t k) -> std::uint32_t {
    return k < p.depth ? from[line * p.line_stride + k * p.step_stride].bits : 0;
  };
  return base::bits_as<float>(bits(2 * d) | bits(2 * d + 1) << 16);
}

inline void pack_pairs_scattered(const packing<bf16>& p, const bf16* from, std::int64_t available, std::int64_t width,
                                 std::int64_t steps, float* to) {
  for (std::int64_t d = 0; d < steps; ++d)
    for (std::int64_t line = 0; line < width; ++line)
      to[d * width + line] = line < available ? pair_of(p, from, line, d) : 0;
}

SLUICE_TARGET inline void pack_pairs(const packing<bf16>& p, bool rows, std::int64_t step_multiple) {
  const std::int64_t steps = ((p.depth + 1) / 2 + step_multiple - 1) / step_multiple * step_multiple;
  for (std::int64_t line = 0; line < p.lines; line += p.width) {
    const std::int64_t available = p.lines - line;
    std::int64_t width = std::min(p.width, available);
    width = rows ? padded_rows(width) : (width + tile_lines - 1) / tile_lines * tile_lines;
    if (step_multiple > 1) width = p.width;
    const bf16* from = p.from + line * p.line_stride;
    float* to = p.to + line / p.width * p.panel_stride;
    if (p.step_stride == 1)
      pack_pairs_transposed(p, from, available, width, steps, to);
    else if (p.line_stride == 1)
      pack_pairs_straight(p, from, available, width, steps, to);
    else
      pack_pairs_scattered(p, from, available, width, steps, to);
  }
}

SLUICE_TARGET inline void pack_pair_rows(const packing<bf16>& p) { pack_pairs(p, true, 1); }
SLUICE_TARGET inline void pack_pair_columns(const packing<bf16>& p) { pack_pairs(p, false, 1); }
SLUICE_TARGET inline void pack_amx_columns(const packing<bf16>& p) { pack_pairs(p, false, tile_steps); }

// Rows of a for AMX: [steps of a tile][two tiles][line][pairs].
SLUICE_TARGET inline void pack_amx_rows(const packing<bf16>& p) {
  for (std::int64_t line = 0; line < p.lines; ++line) {
    const bf16* from = p.from + line * p.line_stride;
    float* to = p.to + line / amx_rows * p.panel_stride + line % amx_rows * tile_steps;
    for (std::int64_t d = 0; 2 * d < p.depth; d += tile_steps, to += amx_rows * tile_steps)
      if (p.step_stride == 1)
        store(to, load_pairs(from + 2 * d, p.depth - 2 * d));
      else
        for (std::int64_t i = 0; i < tile_steps; ++i) to[i] = pair_of(p, from, 0, d + i);
  }
}

#define SLUICE_AMX [[gnu::target(SLUICE_AVX512 ",avx512bf16,amx-tile,amx-bf16")]]

// By hand: the intrinsics of GCC 12 do not tell the compiler that they read memory. Other code of the process may configure
// tiles otherwise, so each task does it anew.
SLUICE_AMX inline void run_amx(const panel_product<float>& o) {
  struct alignas(64) {
    std::uint8_t palette = 1;
    std::uint8_t start_row = 0;
    std::uint8_t reserved[14] = {};
    std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } const shapes;
  constexpr std::int64_t width = 2 * tile_lines;
  alignas(64) float sums[amx_rows * width];
  asm volatile("ldtilecfg %0" : : "m"(shapes));
  for (std::int64_t j = 0; j < o.columns; j += width)
    for (std::int64_t i = 0; i < o.rows; i += amx_rows) {
      const float* a = o.a + i / amx_rows * o.a_panel;
      const float* b = o.b + j / width * o.b_panel;
      asm volatile("tilezero %tmm0\n\ttilezero %tmm1\n\ttilezero %tmm2\n\ttilezero %tmm3");
      for (std::int64_t d = 0; d < o.depth; d += tile_steps, a += amx_rows * tile_steps, b += width * tile_steps)
        asm volatile(
            "tileloadd (%[a],%[row],1), %%tmm4\n\t"
            "tileloadd (%[b],%[pitch],1), %%tmm6\n\t"
            "tileloadd 64(%[b],%[pitch],1), %%tmm7\n\t"
            "tdpbf16ps %%tmm6, %%tmm4, %%tmm0\n\t"
            "tileloadd 1024(%[a],%[row],1), %%tmm5\n\t"
            "tdpbf16ps %%tmm7, %%tmm4, %%tmm1\n\t"
            "tdpbf16ps %%tmm6, %%tmm5, %%tmm2\n\t"
            "tdpbf16ps %%tmm7, %%tmm5, %%tmm3"
            :
            : [a] "r"(a), [b] "r"(b), [row] "r"(std::int64_t{64}), [pitch] "r"(std::int64_t{128})
            : "memory");
      asm volatile(
          "tilestored %%tmm0, (%[c],%[pitch],1)\n\t"
          "tilestored %%tmm1, 64(%[c],%[pitch],1)\n\t"
          "tilestored %%tmm2, 2048(%[c],%[pitch],1)\n\t"
          "tilestored %%tmm3, 2112(%[c],%[pitch],1)"
          :
          : [c] "r"(sums), [pitch] "r"(std::int64_t{128})
          : "memory");
      store_edge<float>(sums, width,
                        {nullptr, nullptr, o.c + i * o.c_row + j, o.c_row, o.add, std::min(amx_rows, o.rows - i),
                         std::min(width, o.columns - j)});
    }
  asm volatile("tilerelease");
}

#undef SLUICE_AMX
