// What decoding JPEG files takes: contracts of the kernels, in the arithmetic of libjpeg-turbo's accurate way (islow), its
// triangle filters ("fancy" upsampling) and its conversion of colours. All of it is exact: every ISA gives the same bytes.
//
// The transform, of numbers with a sign, first down the columns and then along the rows, with kJpegEven and kJpegOdd below:
//   even[i] = sum over e of kJpegEven[i][e] * in[2 * e]            odd[i] = sum over o of kJpegOdd[i][o] * in[2 * o + 1]
//   out[i] = (even[i] + odd[i] + half) >> s                        out[7 - i] = (even[i] - odd[i] + half) >> s
// s is 11 for the columns, which leaves two bits after the point, and 18 for the rows; half is 2^(s - 1). Then 128 is added, and
// what is beyond 0 .. 255 is clamped.
//
// libjpeg-turbo's own versions agree only while their 16-bit intermediates do not overflow and the last clamp is not handed
// numbers beyond its table. No picture does so that an encoder made of pixels, and a block that does is not for us to decode:
// the kernel says so.
//
// No kernel allocates, throws, or keeps state.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace lcnet {

// Rows 4 to 7 of the transform mirror rows 3 to 0. In units of 2^-13: 1; sqrt(2) cos(k pi / 16), sums of rounded numbers.
constexpr int16_t kJpegEven[4][4] = {
    {8192, 10703, 8192, 4433}, {8192, 4433, -8192, -10704}, {8192, -4433, -8192, 10704}, {8192, -10703, 8192, -4433}};
constexpr int16_t kJpegOdd[4][4] = {
    {11363, 9633, 6437, 2260}, {9633, -2259, -11362, -6436}, {6437, -11362, 2261, 9633}, {2260, -6436, 9633, -11363}};

constexpr int kJpegMost = 16383;         // of a coefficient times its quantum, and of what the columns give, in magnitude
constexpr int kJpegMostPixel = 511;      // of what the rows give, before 128 is added
constexpr size_t kJpegBlock = 64;        // numbers of a block
constexpr size_t kJpegBeyond = 64;       // samples behind a row, or pixels of it, that may be read and written
constexpr size_t kJpegBlocksBeyond = 3;  // blocks behind the last one of a row that may be read, and written as zeros

// What a component's blocks are multiplied by.
struct JpegQuanta {
  uint16_t quantum[kJpegBlock];  // 1 .. 255, by rows
  uint16_t most[kJpegBlock];     // kJpegMost / quantum, rounded down
};

// A row of blocks becomes eight rows of samples. False if a number went beyond the bounds above: what is written has no meaning
// then.
//   blocks  [n][64] coefficients by rows; they are zero afterwards, and must be zero in kJpegBlocksBeyond more
//   out     eight rows of 8 * n bytes, `pitch` bytes apart; up to kJpegBeyond more are written in each
using JpegTransform = bool(int16_t* blocks, size_t n, const JpegQuanta& quanta, uint8_t* out, size_t pitch);

// Twice as wide: out[2 * i] = (3 * in[i] + in[i - 1] + 1) >> 2 and out[2 * i + 1] = (3 * in[i] + in[i + 1] + 2) >> 2.
//   in      [width] samples; one before them and one behind, which the caller sets to its neighbour
//   out     [2 * width]; beyond a row, kJpegBeyond samples may be read and twice as many written
using JpegWiden = void(const uint8_t* in, uint8_t* out, size_t width);

// Twice as wide, out of two rows: with t[i] = 3 * near[i] + far[i],
// out[2 * i] = (3 * t[i] + t[i - 1] + 8) >> 4 and out[2 * i + 1] = (3 * t[i] + t[i + 1] + 7) >> 4. Otherwise as JpegWiden.
using JpegWidenBoth = void(const uint8_t* near_row, const uint8_t* far_row, uint8_t* out, size_t width);

// Out of two rows: out[i] = (3 * near[i] + far[i] + bias) >> 2. Beyond a row, kJpegBeyond samples may be read and written.
using JpegBlend = void(const uint8_t* near_row, const uint8_t* far_row, uint8_t* out, size_t width, int bias);

// To pixels [width][3], with b = cb - 128, r = cr - 128 and everything clamped to 0 .. 255:
//   red    y + ((91881 * r + 2^15) >> 16)
//   green  y + ((-22554 * b - 46802 * r + 2^15) >> 16)
//   blue   y + ((116130 * b + 2^15) >> 16)
// Beyond a row, kJpegBeyond samples may be read, and as many pixels written.
using JpegColors = void(const uint8_t* y, const uint8_t* cb, const uint8_t* cr, uint8_t* rgb, size_t width);

struct JpegKernels {
  const char* isa;
  JpegTransform* transform;
  JpegWiden* widen;
  JpegWidenBoth* widen_both;
  JpegBlend* blend;
  JpegColors* colors;
};

extern const JpegKernels jpeg_kernels__scalar;
#if defined(__x86_64__) || defined(_M_X64)
extern const JpegKernels jpeg_kernels__avx2;
extern const JpegKernels jpeg_kernels__avx512;
#endif

}  // namespace lcnet
