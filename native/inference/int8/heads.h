// As heads.h: head conv and classifier of several images at once, quantised.
#pragma once

#include "../heads.h"
#include "plan.h"
#include "runner.h"

namespace lcnet {

using Int8Heads = HeadsOf<Int8Network, Int8Plan>;
template <>
template <>
void Int8Heads::dense(const Int8PackedDense& d, Place<float> from, Place<float> to, Activation act);

}  // namespace lcnet
