// Every kernel's contract. One table of function pointers per ISA; the scalar kernels are the specification of the others.
//
// Words. L: lanes, the floats in one vector of the ISA. Channel counts are padded to a multiple of L with zero weights and
// zero bias, so no kernel sees a ragged vector; padded channels hold finite values that meet only zero weights.
//
//   blocked row  [channels/L][pitch][L]   between layers: a depthwise kernel streams one channel block of a row; `pitch`
//                                         counts pixels and includes the zero columns that pad the row left and right.
//   dense        [pixels][channels]       from a depthwise to a pointwise layer: the GEMM's left matrix.
//   planes       [channels][pitch]        from the stem to the first pointwise layer: pixels in the lanes, because there may be
//                                         fewer channels than lanes. `channels` is padded to a multiple of kPlanes only, and
//                                         pitch is a multiple of L.
//
// hswish6(x) = x * clamp(x + 3, 0, 6) is six times hard-swish. The 1/6 is folded into the weights of whichever layer comes
// next, which saves a multiply per value; what leaves the network (feature maps, embeddings) is divided on the way out.
//
// No kernel allocates, throws, or keeps state. Pointers need the alignment of float only. Buffers do not overlap.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace lcnet {

enum class Precision { f32, bf16 };
enum class Activation { none, relu, hswish6, hsigmoid6 };  // hsigmoid6(x) = clamp(x + 3, 0, 6)

constexpr size_t kPlanes = 8;  // every LCNet's stem has a multiple of eight channels

// An image row of one channel, its columns apart by parity: out[i] = in[2 * i - 1] and out[half + i] = in[2 * i]. Columns left
// and right of the image are not written: `out` is zero there from the start.  half > width / 2
using F32Split = void(const float* in, float* out, size_t width, size_t half);

// One output row of the stem: 3x3, stride 2, all input channels, then hswish6.
//   in    [3][in_chans] rows as F32Split makes them: in[ky * in_chans + ci]; half is at least width, rounded up to a multiple
//         of L, plus one. Rows with ky outside [ky0, ky1) lie above or below the image and are not read.
//   w     [channels/kPlanes][3 ky][in_chans][3 kx][kPlanes]      bias  [channels]
//   out   planes: pixels 0 .. width-1 of each, then zeros up to a multiple of L
using F32Stem = void(const float* const* in, size_t half, const float* w, const float* bias, float* out, size_t width,
                     size_t pitch, size_t in_chans, size_t channels, size_t ky0, size_t ky1);

// One output row of the depthwise conv behind the stem: 3x3, stride 1, then hswish6.
//   in    [3] rows of planes: in[ky] points at the first output's centre; a whole vector is read before it, and one behind the
//         last one. Rows with ky outside [ky0, ky1) are not read.
//   w     [channels][9]                               bias  [channels]
//   out   planes of `pitch`: width pixels, and on to a multiple of L whatever comes
using F32DwconvPlanes = void(const float* const* in, const float* w, const float* bias, float* out, size_t width,
                             size_t in_pitch, size_t pitch, size_t channels, size_t ky0, size_t ky1);

// One output row of a depthwise conv, K x K with stride S (both in the kernel's name), then hswish6.
//   in    [K] blocked rows; in[ky] points at the pixel K/2 left of the first output's centre and holds, from there,
//         S * (width - 1) + K pixels of each channel block. Rows with ky outside [ky0, ky1) are not read.
//   w     [channels/L][K * K][L]                      bias  [channels]
//   out   dense [width][channels]
using F32Dwconv = void(const float* const* in, const float* w, const float* bias, float* out, size_t width, size_t in_pitch,
                       size_t channels, size_t ky0, size_t ky1);

// A pointwise conv over a list of pixels: out = act(a * w + bias).
//   a     dense [pixels][depth]
//   w     panels of `panel` vectors: [depth][panel * L] each; leftover channel blocks form panels of one vector: [depth][L]
//   bias  [channels]
//   out   [pixels] pointers: channel block j of pixel p is written to out[p] + j * block_stride (L floats)
using F32Gemm = void(const float* a, const float* w, const float* bias, float* const* out, size_t pixels, size_t depth,
                     size_t channels, size_t block_stride, Activation act);

// The same with hswish6 on planes: a [depth][pitch].
using F32GemmPlanes = void(const float* a, size_t pitch, const float* w, const float* bias, float* const* out, size_t pixels,
                           size_t depth, size_t channels, size_t block_stride);

// The same as F32Gemm for one pixel and a dense result, with enough accumulators to hide the latency of the multiply-add.
//   x     [depth]     w, bias as F32Gemm     out  [channels]
using F32Gemv = void(const float* x, const float* w, const float* bias, float* out, size_t depth, size_t channels,
                     Activation act);

// out[c] = scale * sum over pixels of x[p][c];  x dense [pixels][channels].
using F32ChannelSum = void(const float* x, float* out, size_t pixels, size_t channels, float scale);

// x[p][c] *= s[c], in place;  x dense [pixels][channels].
using F32ChannelScale = void(float* x, const float* s, size_t pixels, size_t channels);

// bfloat16: the upper half of a float, rounded to nearest even. Rows between layers stay float; what a GEMM reads is bfloat16,
// its sums are float. Depths are even, as every padded channel count is.
using BF16 = uint16_t;

// As F32Dwconv, with a dense result in bfloat16.
using Bf16Dwconv = void(const float* const* in, const float* w, const float* bias, BF16* out, size_t width,
                        size_t in_pitch, size_t channels, size_t ky0, size_t ky1);

// As F32Gemm and F32Gemv; w in panels of pairs along the depth: [depth/2][panel * L][2].
using Bf16Gemm = void(const BF16* a, const BF16* w, const float* bias, float* const* out, size_t pixels, size_t depth,
                      size_t channels, size_t block_stride, Activation act);
using Bf16Gemv = void(const BF16* x, const BF16* w, const float* bias, float* out, size_t depth, size_t channels,
                      Activation act);

// out[p][c] = x[p][c] * s[c];  dense [pixels][channels].
using Bf16ChannelScale = void(const float* x, const float* s, BF16* out, size_t pixels, size_t channels);

// Null in tables of ISAs that have no bfloat16 arithmetic.
struct Bf16Kernels {
  Bf16Dwconv* dwconv_3x3s1;
  Bf16Dwconv* dwconv_3x3s2;
  Bf16Dwconv* dwconv_5x5s1;
  Bf16Dwconv* dwconv_5x5s2;
  Bf16Gemm* gemm;
  Bf16Gemv* gemv;
  Bf16ChannelScale* channel_scale;
};

// What one output row adds to the gradient of a depthwise conv's weights, K x K with stride S (both in the kernel's name), for
// one of its K rows of weights.
//   in    dense [S * (width - 1) + K][channels]: the input row under the weights, with its padding
//   grad  dense [width][channels]
//   sums  [K][channels], added to
using F32Dwgrad = void(const float* in, const float* grad, float* sums, size_t width, size_t channels);

// Multiply-adds on registers and nothing else, `rounds` times over all of them; returns how many it did. For the bench, which
// states speeds as fractions of it. `sink` takes L floats, so that the work is not optimised away.
using F32Peak = size_t(float* sink, size_t rounds);

// Resampling of bytes in Pillow's arithmetic: coefficients are fixed-point numbers with 22 bits after the point, and
//   out = clamp((2^21 + sum over the taps of pixel * coefficient) >> 22, 0, 255).
// A coefficient is kept in two halves that fit the 16-bit multiplications of every ISA: k = low + 2^15 * high, with low from 0
// to 2^15 - 1. Sums wrap modulo 2^32, so any order of additions and of putting the halves together gives the same bits; and
// they are right since the whole sum fits: the magnitudes of a pixel's coefficients add up to less than 2 * 2^22 (by lanczos,
// the worst, to 11/7 * 2^22), so that it is below 255 * 2^23 + 2^21 < 2^31.

// What one output pixel is made of: the input pixels first .. first + count - 1, at least one.
struct ResizeTaps {
  uint32_t first, count;
};

// Four rows made narrower or wider.
//   in    [4] rows of pixels [channels]; up to 15 bytes beyond a row's end are read and have no effect
//   taps  [width]
//   k     for each output pixel [ceil(count / 2)][low, high][2], zero beyond its count
//   out   [4] rows [width][channels], channels <= 4; up to 3 bytes beyond a row's end are written. Rows may be the same
//         twice, if their inputs are.
using U8ResizeRows = void(const uint8_t* const* in, const ResizeTaps* taps, const int16_t* k, uint8_t* const* out,
                          size_t width, size_t channels);

// One row out of several, by the taps of one output pixel.
//   in    [count, rounded up to even] rows [bytes]      k  [ceil(count / 2)][low, high][2], zero beyond the count
//   out   [bytes]; in all rows, up to the next multiple of 64 bytes may be read and written
using U8ResizeColumns = void(const uint8_t* const* in, const int16_t* k, size_t count, uint8_t* out, size_t bytes);

struct Kernels {
  const char* isa;
  size_t lanes;  // L
  size_t panel;  // vectors in a full weight panel of f32_gemm
  F32Split* f32_split;
  F32Stem* f32_stem_3x3s2;
  F32DwconvPlanes* f32_dwconv_planes_3x3s1;
  F32GemmPlanes* f32_gemm_planes;
  F32Dwconv* f32_dwconv_3x3s1;
  F32Dwconv* f32_dwconv_3x3s2;
  F32Dwconv* f32_dwconv_5x5s1;
  F32Dwconv* f32_dwconv_5x5s2;
  F32Gemm* f32_gemm;
  F32Gemv* f32_gemv;
  F32ChannelSum* f32_channel_sum;
  F32ChannelScale* f32_channel_scale;
  F32Dwgrad* f32_dwgrad_3x3s1;
  F32Dwgrad* f32_dwgrad_3x3s2;
  F32Dwgrad* f32_dwgrad_5x5s1;
  F32Dwgrad* f32_dwgrad_5x5s2;
  F32Peak* f32_peak;
  const Bf16Kernels* bf16;
  const struct Int8Kernels* int8;  // see int8/kernels.h; may be those of a lesser ISA
  U8ResizeRows* u8_resize_rows;
  U8ResizeColumns* u8_resize_columns;
};

}  // namespace lcnet
