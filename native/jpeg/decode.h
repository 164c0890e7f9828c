// A JPEG file to pixels, those that libjpeg-turbo gives to the bit, or not at all: what is not plainly sound, or not of the kinds in
// header.h, is left to it. Nothing here allocates, throws, starts threads, or asks the system for anything.
#pragma once

#include "../kernels/jpeg/jpeg.h"
#include "header.h"

namespace lcnet::jpeg {

// Bytes that decoding takes besides the pixels, for a file of `size` bytes.
size_t workspace_bytes(const Header& header, size_t size);

// All pixels, [height][width][channels]: 3 channels are red, green and blue; 1 is for a grey file only. False if the file turns out
// to be damaged, or odd in a way that is for libjpeg to judge; `pixels` has no meaning then.
bool decode(const JpegKernels& kernels, const Header& header, const uint8_t* data, size_t size, uint8_t* workspace,
            uint8_t* pixels, uint32_t channels);

}  // namespace lcnet::jpeg
