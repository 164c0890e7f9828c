// The contract of the int8 kernels: u8 activations, s8 weights, sums in int32, everything between two sums in float. All of it
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
//   h6 = pre * min(max(pre + 3, 0), 6)                       six times hard-swish
//   code = fma(h6, r, z), rounded, clamped to 0..255         r = 1 / (6 * the next layer's scale), z its zero point
// What is no number, or 2^31 or more, becomes code 0, as the CPU's conversion gives it.
#pragma once

#include "../kernels.h"

namespace lcnet {

using Unit = uint32_t;

// Arrays [channels].
struct Sums {
  const float* scale;
  const float* bias;
};
struct Coding {
  const float* r;
  const float* z;
};

// An image row as unit planes, its columns apart by parity: first `half` units of columns 2 * i - 1, then as many of columns
// 2 * i. Columns left and right of the image are not written: they hold the border's codes.  half > width / 2
//   x     channel c's row is at x + c * channel_stride
//   out   [in_chans/G, rounded up][2 * half]
using Int8Quantise = void(const float* x, size_t channel_stride, Coding coding, Unit* out, size_t width, size_t half,
                          size_t in_chans);

// One output row of the stem: 3x3, stride 2.
//   in    [3] rows as Int8Quantise makes them; half is at least width, rounded up to a multiple of L, plus one
//   w     [channels/kPlanes][3 ky][in_chans/G, rounded up][3 kx][kPlanes] units
//   out   the row in planes: width pixels, and on to a multiple of L whatever comes
using Int8Stem = void(const Unit* const* in, size_t half, const Unit* w, Sums sums, Coding coding, uint8_t* out, size_t width,
                      size_t plane, size_t in_chans, size_t channels);

// The same with h6 as float, out [width][pitch], zero from `channels` on.
using Int8StemF32 = void(const Unit* const* in, size_t half, const Unit* w, Sums sums, float* out, size_t width, size_t pitch,
                         size_t in_chans, size_t channels);

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
                              Coding coding, Unit* out, size_t width, size_t channels);

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
                        Unit* out, size_t width, size_t pitch, size_t channels);
using Int8DwconvF32 = void(const Unit* const* in, size_t groups, const Unit* w, const int32_t* start, Sums sums, float* out,
                           size_t width, size_t pitch, size_t channels);

// A pointwise conv.
//   a     coded [pixels][depth/G], or if `pitch` is not zero unit planes [depth/G][pitch]
//   w     panels of `panel` vectors: bytes [depth/G][panel * L][G] each; leftover channel blocks: [depth/G][L][G]
//   start [channels]
//   out   codes of a map from its first pixel on, blocks `block_stride` bytes apart
using Int8Gemm = void(const Unit* a, size_t pitch, const int8_t* w, const int32_t* start, Sums sums, Coding coding,
                      uint8_t* out, size_t pixels, size_t depth, size_t channels, size_t block_stride);

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
  Int8Quantise* quantise;
  Int8Stem* stem_3x3s2;
  Int8StemF32* stem_f32;
  Int8InterleavePlanes* interleave_planes;
  Int8DwconvPlanes* dwconv_planes;
  Int8Interleave* interleave;
  // [kernel 3, 5][stride 1, 2]
  Int8Dwconv* dwconv[2][2];
  Int8DwconvF32* dwconv_f32[2][2];
  Int8Gemm* gemm;
  Int8GemmF32* gemm_f32;
  Int8GemvF32* gemv_f32;
  Int8Code* code;
  // As in struct Kernels, but with a fused multiply-add for each step of the sum, in all ISAs.
  F32Gemv* f32_gemv;
  F32ChannelSum* f32_channel_sum;
};

}  // namespace lcnet
