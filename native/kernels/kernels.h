// Every kernel's contract: float first, then bfloat16, gradients, resampling and int8. One table of function pointers per ISA;
// the scalar kernels are the specification of the others.
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
// next, which saves a multiply per value; what leaves the network (feature maps, embeddings) is divided on the way out. `act` is
// the activation of the whole trunk, hswish6 or relu, unless a contract allows others too. sigmoid(x) = 1 / (1 + exp(-x)) is the
// same to the bit in all ISAs, within 1e-6 of the true one.
//
// Each sum of a float kernel is one chain of multiply-adds, in the order of scalar's. So float networks give the same bits in all
// ISAs that fuse them, and in all that do not scalar's (bfloat16 and the gradients aside); the sigmoid's are fused in all.
// tests/golden holds the bits.
//
// No kernel allocates, throws, or keeps state. Pointers need the alignment of float only. Buffers do not overlap.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace lcnet {

enum class Precision { f32, bf16 };
enum class Activation { none, relu, hswish6, hsigmoid6, sigmoid };  // hsigmoid6(x) = clamp(x + 3, 0, 6)

// The depthwise geometries that there are kernels for, and their places in a table: [kernel 3, 5][stride 1, 2]. A kernel makes
// one output row, so its stride is that of the columns: which rows it reads, its caller says.
template <class Kernel>
using ByGeometry = Kernel* [2][2];
constexpr size_t kMaxKernel = 5, kMaxStride = 2;

constexpr bool has_geometry(size_t kernel, size_t stride) {
  return (kernel == 3 || kernel == 5) && (stride == 1 || stride == 2);
}
template <class Kernel>
constexpr Kernel* of_geometry(const ByGeometry<Kernel>& kernels, size_t kernel, size_t stride) {
  return kernels[kernel / 2 - 1][stride - 1];
}

constexpr size_t kPlanes = 8;  // every LCNet's stem has a multiple of eight channels

// An image row of one channel, its columns apart by parity: out[i] = in[2 * i - 1] and out[half + i] = in[2 * i]. Columns left
// and right of the image are not written: `out` is zero there from the start.  half > width / 2
using F32Split = void(const float* in, float* out, size_t width, size_t half);

// Where the taps of pixel x are in a row of the stem's input: at x, center + x and right + x. With a stride of 2 across, rows are
// as F32Split makes them, center is its half, at least width, rounded up to a multiple of L, plus one, and right is 1. With a
// stride of 1 they are the image's with the border before and behind, center is 1 and right is 2. A channel's row, or in int8 a
// unit plane, has `pitch` columns.
struct StemRow {
  size_t center, right, pitch;
};

// One output row of the stem: 3x3, all input channels, then act.
//   in    [3][in_chans] rows: in[ky * in_chans + ci]. Those with ky outside [ky0, ky1) lie above or below the image and are not
//         read.
//   w     [channels/kPlanes][3 ky][in_chans][3 kx][kPlanes]      bias  [channels]
//   out   planes: pixels 0 .. width-1 of each, then zeros up to a multiple of L
using F32Stem = void(const float* const* in, StemRow row, const float* w, const float* bias, float* out, size_t width,
                     size_t pitch, size_t in_chans, size_t channels, size_t ky0, size_t ky1, Activation act);

// One output row of the depthwise conv behind the stem: 3x3, stride 1, then act.
//   in    [3] rows of planes: in[ky] points at the first output's centre; a whole vector is read before it, and one behind the
//         last one. Rows with ky outside [ky0, ky1) are not read.
//   w     [channels][9]                               bias  [channels]
//   out   planes of `pitch`: width pixels, and on to a multiple of L whatever comes
using F32DwconvPlanes = void(const float* const* in, const float* w, const float* bias, float* out, size_t width,
                             size_t in_pitch, size_t pitch, size_t channels, size_t ky0, size_t ky1, Activation act);

// One output row of a depthwise conv, K x K with stride S, then act.
//   in    [K] blocked rows; in[ky] points at the pixel K/2 left of the first output's centre and holds, from there,
//         S * (width - 1) + K pixels of each channel block. Rows with ky outside [ky0, ky1) are not read.
//   w     [channels/L][K * K][L]                      bias  [channels]
//   out   dense [width][channels]
using F32Dwconv = void(const float* const* in, const float* w, const float* bias, float* out, size_t width, size_t in_pitch,
                       size_t channels, size_t ky0, size_t ky1, Activation act);

// A pointwise conv over a list of pixels: out = act(a * w + bias); also `none`.
//   a     dense [pixels][depth]
//   w     panels of `panel` vectors: [depth][panel * L] each; leftover channel blocks form panels of one vector: [depth][L]
//   bias  [channels]
//   out   [pixels] pointers: channel block j of pixel p is written to out[p] + j * block_stride (L floats)
using F32Gemm = void(const float* a, const float* w, const float* bias, float* const* out, size_t pixels, size_t depth,
                     size_t channels, size_t block_stride, Activation act);

// The same on planes: a [depth][pitch].
using F32GemmPlanes = void(const float* a, size_t pitch, const float* w, const float* bias, float* const* out, size_t pixels,
                           size_t depth, size_t channels, size_t block_stride, Activation act);

// The same as F32Gemm for one pixel and a dense result, with enough accumulators to hide the latency of the multiply-add; any
// activation.
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
using Bf16Dwconv = void(const float* const* in, const float* w, const float* bias, BF16* out, size_t width, size_t in_pitch,
                        size_t channels, size_t ky0, size_t ky1, Activation act);

// As F32Gemm and F32Gemv; w in panels of pairs along the depth: [depth/2][panel * L][2].
using Bf16Gemm = void(const BF16* a, const BF16* w, const float* bias, float* const* out, size_t pixels, size_t depth,
                      size_t channels, size_t block_stride, Activation act);
using Bf16Gemv = void(const BF16* x, const BF16* w, const float* bias, float* out, size_t depth, size_t channels,
                      Activation act);

// As Bf16Gemm, with a result in bfloat16, which the next GEMM reads.
using Bf16GemmNarrow = void(const BF16* a, const BF16* w, const float* bias, BF16* const* out, size_t pixels, size_t depth,
                            size_t channels, size_t block_stride, Activation act);

// out[p][c] = x[p][c] * s[c];  dense [pixels][channels].
using Bf16ChannelScale = void(const float* x, const float* s, BF16* out, size_t pixels, size_t channels);

struct Bf16Kernels {
  ByGeometry<Bf16Dwconv> dwconv;
  Bf16Gemm* gemm;
  Bf16GemmNarrow* gemm_narrow;
  Bf16Gemv* gemv;
  Bf16ChannelScale* channel_scale;
};

// What one output row adds to the gradient of a depthwise conv's weights, K x K with stride S, for one of its K rows of
// weights.
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
using U8ResizeRows = void(const uint8_t* const* in, const ResizeTaps* taps, const int16_t* k, uint8_t* const* out, size_t width,
                          size_t channels);

// One row out of several, by the taps of one output pixel.
//   in    [count, rounded up to even] rows [bytes]      k  [ceil(count / 2)][low, high][2], zero beyond the count
//   out   [bytes]; in all rows, up to the next multiple of 64 bytes may be read and written
using U8ResizeColumns = void(const uint8_t* const* in, const int16_t* k, size_t count, uint8_t* out, size_t bytes);

// Bilinear sampling of bytes in OpenCV's arithmetic, each output pixel from two by two however far it shrinks: coefficients are
// fixed-point numbers with 11 bits after the point, two of them from 0 to 2048 that add up to at most 2049, and
//   across  t = (p0 * k0 + p1 * k1) >> 4                    a pixel with 7 bits after the point, at most 32655
//   down    out = ((t0 * k0 >> 16) + (t1 * k1 >> 16) + 2) >> 2

// One output pixel along a row: of the input pixels `first` and `first` + 1.
struct LerpTap {
  uint32_t first;
  int16_t k[2];
};

// Four rows made narrower or wider.
//   in    [4] rows of pixels [channels]; up to 15 bytes beyond a row's end are read, without an effect as k[1] of its last
//         pixel is 0
//   taps  [width]
//   out   [4] rows [width][channels], channels <= 4; up to 3 numbers beyond a row's end are written. Rows may be the same
//         twice, if their inputs are.
using U8LerpRows = void(const uint8_t* const* in, const LerpTap* taps, int16_t* const* out, size_t width, size_t channels);

// One row out of two.
//   in    [2] rows [bytes], k [2], out [bytes]; in all rows, up to the next multiple of 64 numbers may be read and written
using I16LerpColumns = void(const int16_t* const* in, const int16_t* k, uint8_t* out, size_t bytes);

// int8: u8 activations, s8 weights, sums in int32, everything between two sums in float. All of it
// is exact to the bit: every ISA gives the numbers of the scalar kernels, which are the specification.
//
// Words. L: lanes, the int32 in one vector of the ISA; channel counts are padded to a multiple of L with weights, scales and
// codings of zero. A code is an activation as an integer of 0 to 255. G: what one instruction multiplies and adds up in a
// lane, 2 or 4 codes; a unit is four bytes that hold G codes, two int16 or four uint8.
//
//   map        [channels/L][pixels][L]    bytes: the codes between two blocks, a row of pixels after the other.
//   group row  [channels/L][pitch][L]     units: G rows of a map, interleaved, with the border left and right. What a depthwise
//                                         kernel reads: a unit is G taps of one column.
//   coded      [pixels][channels/G]       units: what a pointwise kernel reads: a unit is G channels of one pixel.
//   planes      [channels][plane]         bytes: between the stem and the first block, pixels in the lanes; a channel's pixels
//                                         are `plane` bytes from the next one's.
//   unit planes [channels/G][pitch]       units: G channels of one pixel, pixels in the lanes.
//   dense      [pixels][channels]         floats, h6: what goes into parts of the network that stay in float, and the last map.
//
// From a sum to the next code, each step rounded to nearest even:
//   pre = fma(float(sum), scale, bias)
//   h6 = pre * min(max(pre + 3, 0), 6)                       six times hard-swish; or with relu max(pre, 0)
//   code = fma(h6, inverse_scale, zero_point), rounded, clamped to 0..255
// where inverse_scale is 1 / (6 * the next layer's scale), or with relu 1 / that scale.
// What is no number, or 2^31 or more, becomes code 0, as the CPU's conversion gives it.
using Unit = uint32_t;

// Arrays [channels].
struct Sums {
  const float* scale;
  const float* bias;
};
struct Coding {
  const float* inverse_scale;
  const float* zero_point;
};

// An image row as unit planes, its columns apart by parity: first `half` units of columns 2 * i - 1, then as many of columns
// 2 * i. Columns left and right of the image are not written: they hold the border's codes.  half > width / 2
//   x     channel c's row is at x + c * channel_stride
//   out   [in_chans/G, rounded up][2 * half]
using Int8Quantize = void(const float* x, size_t channel_stride, Coding coding, Unit* out, size_t width, size_t half,
                          size_t in_chans);

// One output row of the stem: 3x3.
//   in    [3] rows as Int8Quantize makes them, or with a stride of 1 across with the columns side by side and the border around
//   w     [channels/kPlanes][3 ky][in_chans/G, rounded up][3 kx][kPlanes] units
//   out   the row in planes: width pixels, and on to a multiple of L whatever comes
using Int8Stem = void(const Unit* const* in, StemRow row, const Unit* w, Sums sums, Coding coding, uint8_t* out, size_t width,
                      size_t plane, size_t in_chans, size_t channels, Activation act);

// The same with h6 as float, out [width][pitch], zero from `channels` on.
using Int8StemF32 = void(const Unit* const* in, StemRow row, const Unit* w, Sums sums, float* out, size_t width, size_t pitch,
                         size_t in_chans, size_t channels, Activation act);

// G rows of planes, interleaved: what the depthwise kernel for planes reads.
//   rows  [G], up to a multiple of L pixels is read; null: a row of zero points
//   zeros [channels] units: the channel's zero point G times
//   out   [channels][width, rounded up to a multiple of L, + 2 * L]: pixel x at L + x, zero points before and behind
using Int8InterleavePlanes = void(const uint8_t* const* rows, const Unit* zeros, Unit* out, size_t width, size_t plane,
                                  size_t channels);

// One output row of the depthwise conv behind the stem: 3x3, stride 1.
//   in      [groups] rows as Int8InterleavePlanes makes them      w  [channels][groups][3] units
//   out     unit planes, their pitch is width rounded up to a multiple of L; behind width comes whatever comes
using Int8DwconvPlanes = void(const Unit* const* in, size_t groups, const Unit* w, const int32_t* start, Sums sums,
                              Coding coding, Unit* out, size_t width, size_t channels, Activation act);

// A group row out of G rows of a map.
//   rows  [G], blocks `block_stride` bytes apart; null: a row of zero points
//   zeros [channels] units: the channel's zero point G times, also for the `pad` columns on both sides
//   out   group row with a pitch of width + 2 * pad
using Int8Interleave = void(const uint8_t* const* rows, const Unit* zeros, Unit* out, size_t width, size_t block_stride,
                            size_t pad, size_t channels);

// One output row of a depthwise conv, K x K with stride S.
//   in      [groups] group rows from the first output's leftmost column on
//   w       [channels/L][groups][K][L] units; zero in taps above and below the kernel
//   start   [channels]: what the sums begin with
//   out     coded [width][channels/G], or h6 as float [width][channels]
using Int8Dwconv = void(const Unit* const* in, size_t groups, const Unit* w, const int32_t* start, Sums sums, Coding coding,
                        Unit* out, size_t width, size_t pitch, size_t channels, Activation act);
using Int8DwconvF32 = void(const Unit* const* in, size_t groups, const Unit* w, const int32_t* start, Sums sums, float* out,
                           size_t width, size_t pitch, size_t channels, Activation act);

// A pointwise conv.
//   a     coded [pixels][depth/G], or if `pitch` is not zero unit planes [depth/G][pitch]
//   w     panels of `panel` vectors: bytes [depth/G][panel * L][G] each; leftover channel blocks: [depth/G][L][G]
//   start [channels]
//   out   codes of a map from its first pixel on, blocks `block_stride` bytes apart
using Int8Gemm = void(const Unit* a, size_t pitch, const int8_t* w, const int32_t* start, Sums sums, Coding coding,
                      uint8_t* out, size_t pixels, size_t depth, size_t channels, size_t block_stride, Activation act);

// The same with h6, or with `none` pre, as float [pixels][out_pitch].
using Int8GemmF32 = void(const Unit* a, size_t pitch, const int8_t* w, const int32_t* start, Sums sums, float* out,
                         size_t pixels, size_t depth, size_t channels, size_t out_pitch, Activation act);

// The same for one pixel, with sums enough in flight to hide latencies.
using Int8GemvF32 = void(const Unit* a, const int8_t* w, const int32_t* start, Sums sums, float* out, size_t depth,
                         size_t channels, Activation act);

// coded [pixels][channels/G] of x [pixels][channels]: the code of x, or where there is a gate of x * gate[c].
using Int8Code = void(const float* x, const float* gate, Coding coding, Unit* out, size_t pixels, size_t channels);

struct Int8Kernels {
  const char* isa;
  size_t lanes;  // L
  size_t group;  // G
  size_t panel;  // vectors in a full weight panel of the pointwise kernels
  Int8Quantize* quantize;
  Int8Stem* stem_3x3;
  Int8StemF32* stem_f32;
  Int8InterleavePlanes* interleave_planes;
  Int8DwconvPlanes* dwconv_planes;
  Int8Interleave* interleave;
  ByGeometry<Int8Dwconv> dwconv;
  ByGeometry<Int8DwconvF32> dwconv_f32;
  Int8Gemm* gemm;
  Int8GemmF32* gemm_f32;
  Int8GemvF32* gemv_f32;
  Int8Code* code;
  // As in Kernels, but with a fused multiply-add for each step of the sum, in all ISAs.
  F32Gemv* f32_gemv;
  F32ChannelSum* f32_channel_sum;
};

// A table: every kernel of one ISA.
struct Kernels {
  const char* isa;
  bool fused;    // whether a multiply-add of the float kernels is rounded once, or as those of scalar are, twice
  size_t lanes;  // L
  size_t panel;  // vectors in a full weight panel of f32_gemm
  F32Split* f32_split;
  F32Stem* f32_stem_3x3;
  F32DwconvPlanes* f32_dwconv_planes_3x3s1;
  F32GemmPlanes* f32_gemm_planes;
  ByGeometry<F32Dwconv> f32_dwconv;
  F32Gemm* f32_gemm;
  F32Gemv* f32_gemv;
  F32ChannelSum* f32_channel_sum;
  F32ChannelScale* f32_channel_scale;
  ByGeometry<F32Dwgrad> f32_dwgrad;
  F32Peak* f32_peak;
  const Bf16Kernels* bf16;  // null where the ISA has no bfloat16 arithmetic
  const Int8Kernels* int8;  // may be those of a lesser ISA
  U8ResizeRows* u8_resize_rows;
  U8ResizeColumns* u8_resize_columns;
  U8LerpRows* u8_lerp_rows;
  I16LerpColumns* i16_lerp_columns;
};

}  // namespace lcnet
